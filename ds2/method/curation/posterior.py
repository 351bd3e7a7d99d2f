"""Curation by one likelihood: rater matrices, prior and scores together, for one rater or several.

    P(y_n | everything) ~ pi_n(y) prod_r T_r[y, s_nr]          pi_n ~ a_n^0.4 b_n^0.6

a_n is the neighbourhood's composition under the model of `composition` (neighbours' evidence multiplied:
right where neighbours share a true score), b_n the prior carried along the graph by `smoothing`
(neighbours' beliefs averaged: right where they only resemble each other). Their weighted geometric mean is
sharp where both are and cautious where they differ; the curated score is the argmax, the confidence its
mass, the posterior mean a soft score for ranking. Parameters are fitted on each sample's own k neighbours;
a_n and b_n then read every edge in both directions, for those that count n among their nearest tell of it
too.

The likelihood has several optima (true scores can trade names). Fixed starts are compared after a short
run, the best is run on; the spread of T over those that end nearly as high is reported. Nothing here is
random unless the pool is larger than `FIT_ROWS`, when parameters are fitted on a random subset of that many
samples (`seed`) and applied to all.

What the likelihood leaves open, the noise of the rater against the purity of neighbourhoods, people can
settle (`method.stated`). With a stated matrix T is held at it. With anchors their true scores are clamped
in EM, which starts from the anchors' T; an anchor counts ANCHOR_WEIGHT rows, since the likelihood counts
each row's neighbours as so many witnesses. In both cases the order penalty is dropped and the composition
is trusted alone (its exponent is 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ds2.base.threads import one_blas_thread
from ds2.method.curation.composition import (
    ORDER_WEIGHT,
    Array,
    Composition,
    local_prior,
    own_likelihood,
    reorder,
    run_em,
    start_from,
    true_share,
)
from ds2.method.curation.evidence import BINS, Evidence, both_ways, gather_evidence, neighbor_edges
from ds2.method.curation.result import FitSummary
from ds2.method.curation.smoothing import smoothed_prior
from ds2.method.curation.transition import best_naming, misses
from ds2.method.knn import KnnGraph
from ds2.method.stated import transition_from_anchors

FIT_ROWS = 12_000
"""Samples on which parameters are fitted; their neighbours may be any of the pool's."""
START_STEPS = 40
STEPS = 150
COMPOSED = 0.4
"""Exponent of a_n; planted pools like it higher, real raters lower; little changes between 0.35 and 0.6."""
TOLERANCE = 2e-6
"""Gain per sample and step at which EM stops."""
NEAR = 2e-3
"""Objectives this close, per sample, count as equally good."""
ANCHOR_WEIGHT = 30.0
"""Rows that one anchor counts as; planted pools like 10 to 50 alike."""
AMBIGUOUS = 0.2
"""Share of what trading the names of two scores would add to the misses of an infallible rater, up to which
trading is called possible: with GPT-4o-mini's published matrix, where a true 5 is rated 4 half of the time
and 5 hardly ever, it adds a twentieth.
"""


@dataclass(frozen=True)
class PosteriorFit:
    """`T` (R, K, K), `p` (K,) share of each true score, `posterior` (N, K), and how the fit went."""

    T: Array
    p: Array
    posterior: Array
    model: Composition
    summary: FitSummary
    warnings: tuple[str, ...]


@one_blas_thread()
def fit_posterior(
    graph: KnnGraph,
    scores: NDArray[np.int64],
    num_scores: int,
    *,
    k: int = 10,
    seed: int = 0,
    order_weight: float = ORDER_WEIGHT,
    num_bins: int = BINS,
    composed: float = COMPOSED,
    reverse: bool = True,
    known: NDArray[np.int64] | None = None,
    transition: Array | None = None,
) -> PosteriorFit:
    """Fit the model and apply it. scores (N, R) in 0..K-1, -1 unrated; k neighbours (others) are read from
    the graph.

    order_weight: lambda of `composition`. num_bins: bins of distance that learn a worth of their own.
    composed: exponent of the neighbourhood's composition in the local prior. reverse: whether edges are
    read in both directions. Their defaults serve every pool; the benchmark varies them one at a time.
    known: (N,) true scores of anchors, -1 elsewhere. transition: (R, K, K) matrices to hold. Either drops
    order_weight and composed.
    """
    told = known is not None or transition is not None
    order_weight, composed = (0.0, 1.0) if told else (order_weight, composed)
    near = graph.truncate(min(k, graph.k))
    edges = neighbor_edges(near, num_bins)
    evidence = gather_evidence(edges, scores, num_scores, num_bins, known)
    model, summary = fit_composition(evidence.take(fitting_rows(evidence, seed)), order_weight, transition)
    around = both_ways(edges) if reverse else edges
    seen = gather_evidence(around, scores, num_scores, num_bins, known)
    posterior = apply_model(around, seen, model, composed)
    pairs = "" if told else ", ".join(f"{i} and {j}" for i, j in close_namings(model))
    warnings = (
        (
            f"true scores {pairs} could trade names: only the assumption that raters miss by as little as "
            "possible tells them apart",
        )
        if pairs
        else ()
    )
    return PosteriorFit(model.T, posterior.mean(axis=0), posterior, model, summary, warnings)


def fitting_rows(evidence: Evidence, seed: int) -> NDArray[np.int64]:
    """All rated rows, or a random FIT_ROWS of them; anchors are always among them."""
    rated = np.flatnonzero((evidence.scores >= 0).any(axis=1))
    if len(rated) > FIT_ROWS:
        rated = np.sort(np.random.default_rng([seed, 4]).choice(rated, FIT_ROWS, replace=False))
    return rated if evidence.known is None else np.union1d(rated, np.flatnonzero(evidence.known >= 0))


def fit_composition(
    evidence: Evidence, order_weight: float = ORDER_WEIGHT, transition: Array | None = None
) -> tuple[Composition, FitSummary]:
    """Best of the fixed starts, run to the end, with the spread over near-equal ones; from what people
    state where they do.
    """
    if transition is not None or evidence.known is not None:
        return _fit_stated(evidence, order_weight, transition)
    tried = []
    for start in starts(evidence):
        model, value, _ = run_em(start, evidence, steps=START_STEPS, order_weight=order_weight)
        tried.append((value, name_scores(model)))
    best, chosen = max(tried, key=lambda pair: pair[0])
    near = [model for value, model in tried if value >= best - NEAR]
    model, value, steps = run_em(
        chosen, evidence, steps=STEPS - START_STEPS, tolerance=TOLERANCE, order_weight=order_weight
    )
    spread = max(float(np.abs(other.T - chosen.T).max()) for other in near)
    return name_scores(model), FitSummary(
        objective=value,
        starts=len(tried),
        iterations=START_STEPS + steps,
        spread=spread,
        neighbor_worth=model.neighbor_worth,
    )


def _fit_stated(
    evidence: Evidence, order_weight: float, transition: Array | None
) -> tuple[Composition, FitSummary]:
    """One start, from the stated T, held, or from the anchors' T; people have named the true scores."""
    mass, T = None, transition
    if evidence.known is not None:
        mass = np.where(evidence.known >= 0, ANCHOR_WEIGHT, 1.0).astype(np.float32)
        if T is None:
            each = evidence.scores.T
            T = np.stack([transition_from_anchors(evidence.known, s, evidence.num_scores) for s in each])
    assert T is not None
    model, value, steps = run_em(
        start_from(T, evidence.num_bins), evidence, steps=STEPS, tolerance=TOLERANCE, mass=mass,
        order_weight=order_weight, held=transition is not None,
    )  # fmt: skip
    worth = model.neighbor_worth
    return model, FitSummary(objective=value, starts=1, iterations=steps, spread=0.0, neighbor_worth=worth)


def name_scores(model: Composition) -> Composition:
    """The same model under the best naming of true scores (`best_naming`)."""
    return reorder(model, best_naming(true_share(model)[:, None] * model.T.mean(axis=0)))


def close_namings(model: Composition) -> list[tuple[int, int]]:
    """Pairs of true scores that could trade names at a small cost (AMBIGUOUS)."""
    share = true_share(model)
    missed = misses(share[:, None] * model.T.mean(axis=0))
    own = np.diag(missed)
    cost = missed + missed.T - own[:, None] - own[None, :]
    gap = np.abs(np.subtract.outer(np.arange(len(share)), np.arange(len(share))))
    i, j = np.nonzero(np.triu(cost < AMBIGUOUS * gap * (share[:, None] + share[None, :]), 1))
    return [(int(a), int(b)) for a, b in zip(i, j, strict=True)]


def starts(evidence: Evidence) -> list[Composition]:
    """Starting points: half identity, half marginal; matrices that decay with distance; typical
    neighbourhoods.
    """
    K = evidence.num_scores
    gap = np.abs(np.subtract.outer(np.arange(K), np.arange(K)))
    marginals = [evidence.marginal(r) for r in range(evidence.num_raters)]
    shapes: list[list[Array]] = [[shape] * len(marginals) for shape in (np.eye(K), np.exp(-0.7 * gap))]
    shapes.append(_typical_neighborhoods(evidence))
    out = []
    for shape in shapes:
        T = np.stack([0.5 * t + 0.5 * m for t, m in zip(shape, marginals, strict=True)])
        out.append(start_from(T / T.sum(axis=2, keepdims=True), evidence.num_bins))
    return out


def _typical_neighborhoods(evidence: Evidence) -> list[Array]:
    """Mean neighbour scores of K groups of neighbourhoods (K-means from quantiles of the mean score), R of
    (K, K).
    """
    K, R = evidence.num_scores, evidence.num_raters
    seen = evidence.counts.reshape(len(evidence.counts), R, evidence.num_bins, K).sum(axis=2)
    share = (seen / np.maximum(seen.sum(axis=2, keepdims=True), 1)).reshape(len(seen), -1)
    level = share @ np.tile(np.arange(K), R)
    group = np.minimum((np.argsort(np.argsort(level)) * K) // len(level), K - 1)
    center = np.full((K, R * K), 1 / K)
    for _ in range(10):
        for i in range(K):
            if (group == i).any():
                center[i] = share[group == i].mean(axis=0)
        group = ((share**2).sum(axis=1)[:, None] - 2 * share @ center.T + (center**2).sum(axis=1)).argmin(
            axis=1
        )
    return [center[:, r * K : (r + 1) * K] + 1e-3 for r in range(R)]


def apply_model(
    edges: csr_array, evidence: Evidence, model: Composition, composed: float = COMPOSED
) -> Array:
    """Posterior of every sample, (N, K), from the evidence along `edges`."""
    likelihood = own_likelihood(model, evidence.scores, evidence.known)
    around = local_prior(model, evidence)
    worth = np.concatenate([[0.0], model.c]).astype(np.float32)
    weighted = csr_array((worth[edges.data], edges.indices, edges.indptr), shape=edges.shape)
    carried = smoothed_prior(weighted, likelihood, true_share(model))
    posterior = around**composed * carried ** (1 - composed) * likelihood
    return np.asarray(posterior / posterior.sum(axis=1, keepdims=True))
