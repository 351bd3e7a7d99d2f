"""Curation as in the paper: the transition matrix by HOC, then SimiFeat-rank's detection and replacement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds2.method.curation.detection import Detection, detect_errors
from ds2.method.curation.result import FitSummary
from ds2.method.curation.transition import TransitionFit, count_consensus, fit_transition, true_given_rated
from ds2.method.knn import KnnGraph


@dataclass(frozen=True)
class RankCuration:
    """A transition fit, how it went, and the detection that used it."""

    fit: TransitionFit
    summary: FitSummary
    detection: Detection


def curate_by_rank(
    graph: KnnGraph,
    scores: NDArray[np.int64],
    num_scores: int,
    *,
    k: int,
    confidence: float,
    rounds: int,
    hoc_rounds: int,
    hoc_solver: str,
    seed: int,
    embeddings: NDArray[np.float32] | None,
) -> RankCuration:
    """HOC, then detection over subsampled rounds that all read `graph`; k counts the sample itself."""
    target = count_consensus(graph, scores, num_scores, rounds=hoc_rounds, seed=seed, embeddings=embeddings)
    fit, summary = fit_transition(target, hoc_solver)
    rated = np.bincount(scores[scores >= 0], minlength=num_scores) / max((scores >= 0).sum(), 1)
    detection = detect_errors(
        graph,
        scores,
        true_given_rated(fit.T, fit.p, rated),
        k=k,
        confidence=confidence,
        rounds=rounds,
        seed=seed,
        embeddings=embeddings,
    )
    return RankCuration(fit, summary, detection)


def double_graph(graph: KnnGraph) -> KnnGraph:
    """Graph of the pool concatenated with itself (2N rows): what the released code searches.

    A sample's first neighbour is its own copy at distance 0; every other neighbour comes twice.
    """
    N, k = graph.neighbors.shape
    n = np.arange(N, dtype=np.int32)
    near = np.empty((2 * N, 2 * k + 1), dtype=np.int32)
    dist = np.zeros((2 * N, 2 * k + 1), dtype=np.float32)
    near[:N, 0], near[N:, 0] = n + N, n
    for offset in (0, 1):
        near[:N, 1 + offset :: 2] = graph.neighbors + offset * N
        near[N:, 1 + offset :: 2] = graph.neighbors + offset * N
        dist[:N, 1 + offset :: 2] = graph.distances
        dist[N:, 1 + offset :: 2] = graph.distances
    return KnnGraph(near, dist)


def halve(detection: Detection, n: int) -> Detection:
    """The first n rows: what the doubled pool says about the pool."""
    return Detection(
        detection.flagged[:n], detection.suggested[:n], detection.confidence[:n], detection.curated[:n]
    )
