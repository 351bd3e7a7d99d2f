"""Curation by one likelihood: rater matrices, prior and scores together, for one rater or several.

    P(y_n | everything) ~ pi_n(y) prod_r T_r[y, s_nr]          pi_n ~ sqrt(a_n b_n)

a_n is the neighbourhood's composition under the model of `composition` (neighbours' evidence multiplied: right where
neighbours share a true score), b_n the prior carried along the graph by `smoothing` (neighbours' beliefs averaged: right where
they only resemble each other). Their geometric mean is sharp where both are and cautious where they differ; the curated score
is the argmax, the confidence its mass, the posterior mean a soft score for ranking.

The likelihood has several optima (true scores can trade names). Fixed starts are compared after a short run, the best is run
on; the spread of T over those that end nearly as high is reported. Nothing here is random unless the pool is larger than
`FIT_ROWS`, when parameters are fitted on a random subset of that many samples (`seed`) and applied to all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds2.curation.composition import (
    Array,
    Composition,
    local_prior,
    own_likelihood,
    run_em,
    start_from,
    true_share,
)
from ds2.curation.evidence import Evidence, distance_bins, gather_evidence
from ds2.curation.result import FitSummary
from ds2.curation.smoothing import smoothed_prior
from ds2.knn import KnnGraph

FIT_ROWS = 12_000
"""Samples on which parameters are fitted; their neighbours may be any of the pool's."""
START_STEPS = 40
STEPS = 150
NEAR = 2e-3
"""Objectives this close, per sample, count as equally good."""


@dataclass(frozen=True)
class PosteriorFit:
    """`T` (R, K, K), `p` (K,) share of each true score, `posterior` (N, K), and how the fit went."""

    T: Array
    p: Array
    posterior: Array
    model: Composition
    summary: FitSummary
    warnings: tuple[str, ...]


def fit_posterior(
    graph: KnnGraph, scores: NDArray[np.int64], num_scores: int, *, k: int = 10, seed: int = 0
) -> PosteriorFit:
    """Fit the model and apply it. scores (N, R) in 0..K-1, -1 unrated; k neighbours (others) are read from the graph."""
    near = graph.truncate(min(k, graph.k))
    bins = distance_bins(near)
    evidence = gather_evidence(near, scores, num_scores, bins)
    model, summary = fit_composition(evidence.take(fitting_rows(evidence, seed)))
    posterior = apply_model(near, evidence, bins, model)
    return PosteriorFit(model.T, posterior.mean(axis=0), posterior, model, summary, ())


def fitting_rows(evidence: Evidence, seed: int) -> NDArray[np.int64]:
    """All rated rows, or a random FIT_ROWS of them."""
    rated = np.flatnonzero((evidence.scores >= 0).any(axis=1))
    if len(rated) > FIT_ROWS:
        rated = np.sort(np.random.default_rng([seed, 4]).choice(rated, FIT_ROWS, replace=False))
    return rated


def fit_composition(evidence: Evidence) -> tuple[Composition, FitSummary]:
    """Best of the fixed starts, run to the end, with the spread over near-equal ones."""
    tried = [run_em(model, evidence, steps=START_STEPS) for model in starts(evidence)]
    best = max(value for _, value, _ in tried)
    near = [model for model, value, _ in tried if value >= best - NEAR]
    chosen = max(near, key=_rightness)
    model, value, steps = run_em(chosen, evidence, steps=STEPS - START_STEPS)
    spread = max(float(np.abs(other.T - chosen.T).max()) for other in near)
    return model, FitSummary(
        objective=value,
        starts=len(tried),
        iterations=START_STEPS + steps,
        spread=spread,
        neighbor_worth=model.neighbor_worth,
    )


def _rightness(model: Composition) -> float:
    """Share of scores that are right, by the model: of optima that differ in names only, the kindest to the raters."""
    return float(np.einsum("i,rii->", true_share(model), model.T) / len(model.T))


def starts(evidence: Evidence) -> list[Composition]:
    """Starting points: half identity, half marginal; then matrices that decay with distance, sharp and flat."""
    K = evidence.num_scores
    gap = np.abs(np.subtract.outer(np.arange(K), np.arange(K)))
    out = []
    for shape in (np.eye(K), np.exp(-1.5 * gap), np.exp(-0.7 * gap)):
        raters = []
        for r in range(evidence.num_raters):
            m = evidence.marginal(r)
            T = 0.5 * shape + 0.5 * m if shape is not None else m
            raters.append(T / T.sum(axis=1, keepdims=True))
        out.append(start_from(np.stack(raters), evidence.num_bins))
    return out


def apply_model(graph: KnnGraph, evidence: Evidence, bins: NDArray[np.int8], model: Composition) -> Array:
    """Posterior of every sample, (N, K)."""
    own = own_likelihood(model, evidence.scores)
    composed = local_prior(model, evidence)
    carried = smoothed_prior(graph, model.c.astype(np.float32)[bins], own, true_share(model))
    posterior = np.sqrt(composed * carried) * own
    return np.asarray(posterior / posterior.sum(axis=1, keepdims=True))
