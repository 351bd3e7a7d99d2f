"""Which scores are wrong, and what they should be: SimiFeat-rank (Zhu et al., ICML 2022; DS2 section 4.2).

One round looks at a random subsample. With the k - 1 nearest neighbours of n in it, D their distances and s
their scores,

    q_n[j]  = sum over {n} and its neighbours of (1 - D) [score = j], L2-normalised over j;
              n's own distance is 2 D_1 - D_2
    a_n     = -log q_n[s_n]                                  high: disagrees with its neighbourhood
    flagged = a_n >= percentile of a over the samples rated s_n, at 100 R[s_n, s_n]
              (the share 1 - R[j, j] is flagged)
    suggest = argmax q_n

with R[i, j] = P(true i | rated j). Over the rounds,

    f_n     = (#flagged + 1) / (#seen + 2);  error where f_n > 0.5
    g_n[j]  = (#suggested j while flagged + 1) / (#flagged + K)
    confidence_n = f_n max_{j != s_n} g_n[j]

The score of an error is replaced where its confidence reaches the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds2.method.curation.subsample import neighbors_within, subsample_size
from ds2.method.knn import KnnGraph

Array = NDArray[np.float64]

CONFIDENCE = 0.5
"""The paper's threshold of replacement (section 5; 0.4 for LLaMA-3.1-8B)."""


@dataclass(frozen=True)
class Detection:
    """Outcome over all rounds, each (N,): flagged bool, suggested int, confidence in [0, 1], curated int."""

    flagged: NDArray[np.bool_]
    suggested: NDArray[np.int64]
    confidence: Array
    curated: NDArray[np.int64]


def flag_fractions(R: Array) -> Array:
    """Share of the samples rated j to flag, 1 - R[j, j]: at or above 1 it becomes 0.95, at or below 0 it
    becomes 0.05.
    """
    share = 1.0 - np.diag(R)
    return np.where(share >= 1, 0.95, np.where(share <= 0, 0.05, share))


def soft_labels(scores: NDArray[np.int64], distances: Array, num_scores: int) -> Array:
    """q, (n, K). scores and distances: (n, k) with the sample itself first; its distance is replaced by 2
    D_1 - D_2.
    """
    n, k = scores.shape
    weight = 1.0 - distances
    if k > 2:
        weight[:, 0] = 1.0 - (2.0 * distances[:, 1] - distances[:, 2])
    cell = np.arange(n)[:, None] * num_scores + scores
    votes = np.bincount(cell.ravel(), weights=weight.ravel(), minlength=n * num_scores)
    votes = votes.reshape(n, num_scores)
    norm = np.sqrt((votes * votes).sum(axis=1, keepdims=True))
    return np.asarray(votes / np.maximum(norm, 1e-12))


def detect_round(
    given: NDArray[np.int64], q: Array, fractions: Array
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Flags (n,) and suggestions (n,) of one round, from the samples' given scores (n,) and soft labels (n,
    K).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        disagreement = -np.log(q[np.arange(len(given)), given])
    disagreement[~np.isfinite(disagreement)] = 1e8  # no vote, or a negative one, for the given score
    flagged = np.zeros(len(given), dtype=bool)
    for j in range(q.shape[1]):
        rated_j = np.flatnonzero(given == j)
        if rated_j.size:
            values = disagreement[rated_j]
            flagged[rated_j] = values >= np.percentile(values, 100 * (1 - fractions[j]))
    return flagged, q.argmax(axis=1)


def detect_errors(
    graph: KnnGraph,
    scores: NDArray[np.int64],
    R: Array,
    *,
    k: int = 10,
    confidence: float = CONFIDENCE,
    rounds: int = 51,
    seed: int = 0,
    embeddings: NDArray[np.float32] | None = None,
) -> Detection:
    """SimiFeat-rank over `rounds` subsamples of min(50,000, 0.9 N) rated samples.

    scores: (N,) in 0..K-1, -1 unrated (never drawn: kept as -1, not flagged, confidence 0). R: (K, K) of
    the whole pool. k counts the sample itself; confidence is the threshold of replacement.
    """
    N, K = len(scores), len(R)
    rated = np.flatnonzero(scores >= 0)
    rng = np.random.default_rng([seed, 2])
    fractions = flag_fractions(R)
    size = min(len(rated), max(k, subsample_size(len(rated))))
    seen, hits, suggestions = np.zeros(N), np.zeros(N), np.zeros(N * K)
    for _ in range(rounds):
        drawn = rng.choice(rated, size=size, replace=False, shuffle=False)
        near = neighbors_within(graph, drawn, k - 1, embeddings)
        votes = np.concatenate([scores[drawn][:, None], scores[near.rows]], axis=1)
        distances = np.concatenate([np.zeros((size, 1)), near.distances], axis=1)
        flagged, suggested = detect_round(scores[drawn], soft_labels(votes, distances, K), fractions)
        seen[drawn] += 1
        wrong = drawn[flagged]
        hits[wrong] += 1
        np.add.at(suggestions, wrong * K + suggested[flagged], 1)
    return _decide(scores, seen, hits, suggestions.reshape(N, K), confidence)


def _decide(
    scores: NDArray[np.int64], seen: Array, hits: Array, counts: Array, threshold: float
) -> Detection:
    N, K = counts.shape
    rated = scores >= 0
    f = (hits + 1) / (seen + 2)
    g = (counts + 1) / (counts.sum(axis=1, keepdims=True) + K)
    g[np.flatnonzero(rated), scores[rated]] = -1.0  # a suggestion differs from the given score
    suggested = g.argmax(axis=1)
    certainty = g[np.arange(N), suggested] * f
    flagged = rated & (f > 0.5)
    curated = np.where(flagged & (certainty >= threshold), suggested, scores)
    return Detection(flagged, suggested, np.where(rated, certainty, 0.0), curated)
