"""How much of a curation would survive another sample of the same pool: bootstrap over neighbourhoods.

Each resample b draws N / (k + 1) samples with replacement and takes each with its k neighbours (samples of
one neighbourhood tell the same story twice: drawing them one by one would make every interval too narrow),
refits the transition matrix from the full fit on what was drawn, and curates the whole pool again. A sample
that is many others' neighbour is drawn more often; each draw of it counts for less by as much, so that
every sample has the same expected weight. Then

    interval of T, prior, ratio     x +- t_{B-1} s,  x the estimate, s the standard deviation of the B
                                    resamples', t the 97.5 % point of Student's distribution. It is the
                                    spread alone: a bias of the method, such as one naming of true scores,
                                    is not in it
    error_n      = mean_b P_b(true y_n != s_n)                      `rank`: share of resamples that flag n
    stability(m) = expected |S_b and S_b'| / m of two resamples     S_b: the m samples chosen after b
                 = sum_n h_n (h_n - 1) / (B (B - 1) m)              h_n: number of resamples that choose n

The graph and the long-tail scores are held fixed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from ds2.base.threads import one_blas_thread
from ds2.method.curation.composition import run_em
from ds2.method.curation.detection import detect_errors
from ds2.method.curation.diagnostics import neighbor_agreement
from ds2.method.curation.evidence import both_ways, gather_evidence, neighbor_edges
from ds2.method.curation.posterior import apply_model, fit_composition, fitting_rows
from ds2.method.curation.result import Array, CurationResult, Interval, Uncertainty
from ds2.method.curation.subsample import neighbors_within
from ds2.method.curation.transition import Consensus, hoc_adam, true_given_rated
from ds2.method.knn import KnnGraph
from ds2.method.ranking import select

STEPS = 25
"""EM steps of a resample, from the full fit."""
HOC_STEPS = 500
"""Adam steps of a resample of `rank`."""
ROUNDS = 9
"""Detection rounds of a resample of `rank`."""
SHARES = (0.03, 0.1, 0.2, 0.33, 0.5)
"""Budgets at which stability is given, as shares of the pool."""


@dataclass(frozen=True)
class _Resample:
    T: Array
    p: Array
    curated: NDArray[np.int64]
    wrong: Array
    """(N, R) probability that each given score is wrong."""
    mass: Array
    """(N,) how often each sample was drawn."""


@one_blas_thread()
def bootstrap_curation(
    graph: KnnGraph,
    scores: NDArray[np.int64],
    num_scores: int,
    result: CurationResult,
    *,
    k: int,
    confidence: float,
    resamples: int,
    seed: int,
    embeddings: NDArray[np.float32] | None = None,
) -> Uncertainty:
    """`Uncertainty` of `result` from `resamples` resamples. scores (N, R); the graph that the result was
    made with.
    """
    N, R = scores.shape
    rng = np.random.default_rng([seed, 5])
    if result.diagnostics.method == "posterior":
        runs = _posterior_resamples(graph, scores, num_scores, k, resamples, rng, seed)
    else:
        runs = _rank_resamples(
            graph, scores[:, 0], num_scores, k, confidence, resamples, rng, result.transition, embeddings
        )
    budgets = np.unique(np.maximum(1, np.round(np.array(SHARES) * N)).astype(np.int64))
    chosen = np.zeros((len(budgets), N))
    wrong = np.zeros((N, R))
    T, p, ratios = [], [], []
    near = graph.neighbors[:, : min(k, graph.k)]
    agreement = np.stack([neighbor_agreement(given, given[near]) for given in scores.T], axis=1)
    for run in runs:
        T.append(run.T)
        p.append(run.p)
        wrong += run.wrong / resamples
        order = select(run.curated, result.long_tail, int(budgets[-1]))
        for i, budget in enumerate(budgets):
            chosen[i, order[:budget]] += 1
        ratios.append(_ratios(agreement, scores, num_scores, run.mass))
    wrong[scores < 0] = np.nan
    ratio = np.array(
        [r.clusterability.ratio if r.clusterability else np.nan for r in result.diagnostics.raters]
    )
    pairs = max(resamples * (resamples - 1), 1)
    return Uncertainty(
        resamples=resamples,
        transition=_interval(result.transition, T, most=1.0),
        prior=_interval(result.prior, p, most=1.0),
        clusterability=_interval(ratio, ratios),
        error_probability=wrong[:, 0] if R == 1 else wrong,
        stability_budgets=budgets,
        stability=(chosen * (chosen - 1)).sum(axis=1) / (pairs * budgets),
    )


def _posterior_resamples(
    graph: KnnGraph,
    scores: NDArray[np.int64],
    K: int,
    k: int,
    resamples: int,
    rng: np.random.Generator,
    seed: int,
) -> Iterator[_Resample]:
    near = graph.truncate(min(k, graph.k))
    edges = neighbor_edges(near)
    evidence = gather_evidence(edges, scores, K)
    around = both_ways(edges)
    all_around = gather_evidence(around, scores, K)
    chosen = fitting_rows(evidence, seed)
    rows = evidence.take(chosen)
    full, _ = fit_composition(rows)
    for mass in _draws(near, resamples, rng):
        inside = mass[chosen] / max(mass[chosen].mean(), 1e-12)
        model, _, _ = run_em(full, rows, steps=STEPS, mass=inside.astype(np.float32))
        posterior = apply_model(around, all_around, model)
        wrong = 1.0 - np.take_along_axis(posterior, np.maximum(scores, 0), axis=1)
        T = model.T[0] if scores.shape[1] == 1 else model.T
        yield _Resample(T, np.average(posterior, axis=0, weights=mass), posterior.argmax(axis=1), wrong, mass)


def _rank_resamples(
    graph: KnnGraph,
    scores: NDArray[np.int64],
    K: int,
    k: int,
    confidence: float,
    resamples: int,
    rng: np.random.Generator,
    T: Array | None,
    embeddings: NDArray[np.float32] | None,
) -> Iterator[_Resample]:
    assert T is not None
    rated = np.flatnonzero(scores >= 0)
    share = np.bincount(scores[rated], minlength=K) / len(rated)
    first, second = neighbors_within(graph, rated, 2, embeddings).rows.T  # the nearest rated, as in the fit
    triple = (scores[rated] * K + scores[first]) * K + scores[second]
    start = np.log(np.maximum(T, 1e-4))
    for mass in _draws(graph.truncate(min(k, graph.k)), resamples, rng):
        counts = np.bincount(triple, weights=mass[rated], minlength=K**3)
        c3 = (counts / counts.sum()).reshape(K, K, K)
        fit = hoc_adam(Consensus(c3.sum(axis=(1, 2)), c3.sum(axis=2), c3), start=start, steps=HOC_STEPS)
        detection = detect_errors(
            graph,
            scores,
            true_given_rated(fit.T, fit.p, share),
            k=min(k, len(rated)),
            confidence=confidence,
            rounds=ROUNDS,
            seed=int(rng.integers(2**31)),
            embeddings=embeddings,
        )
        yield _Resample(fit.T, fit.p, detection.curated, detection.flagged[:, None].astype(np.float64), mass)


def _draws(graph: KnnGraph, resamples: int, rng: np.random.Generator) -> Iterator[Array]:
    """Weights of the samples, (N,), mean about 1: whole neighbourhoods with replacement."""
    N, k = graph.neighbors.shape
    expected = (1 + np.bincount(graph.neighbors.ravel(), minlength=N)) / (k + 1)
    for _ in range(resamples):
        seeds = rng.integers(0, N, max(1, round(N / (k + 1))))
        drawn = np.concatenate([seeds, graph.neighbors[seeds].ravel()])
        yield np.bincount(drawn, minlength=N) / expected


def _ratios(agreement: Array, scores: NDArray[np.int64], K: int, mass: Array) -> Array:
    """Agreement over chance of one resample, (R,); chance is the probability that two draws of the marginal
    are equal.
    """
    out = np.ones(scores.shape[1])
    for r in range(scores.shape[1]):
        seen = ~np.isnan(agreement[:, r]) & (mass > 0)
        if seen.any():
            marginal = np.bincount(scores[seen, r], weights=mass[seen], minlength=K) / mass[seen].sum()
            chance = float(marginal @ marginal)
            out[r] = float(np.average(agreement[seen, r], weights=mass[seen])) / chance
    return out


def _interval(estimate: Array | None, resampled: list[Array], most: float = np.inf) -> Interval:
    """The module's head; within 0 and `most`."""
    assert estimate is not None
    B = len(resampled)
    half = stdtrit(B - 1, 0.975) * np.std(resampled, axis=0, ddof=1)
    return Interval(np.clip(estimate - half, 0, most), np.clip(estimate + half, 0, most))
