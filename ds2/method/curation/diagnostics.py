"""What can be said about a rater's scores before trusting any curation of them, and the warnings that follow.

Clusterability is measured, not assumed. With s the scores and m the n-th sample's neighbours,

    agreement = mean over pairs (n, m) of [s_n = s_m]
    chance    = the same with s shuffled
    ratio     = agreement / chance

The interval is the ratio plus or minus 1.96 standard errors, from the variance between samples and between
shuffles.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ds2.method.agreement import COLLAPSED
from ds2.method.curation.result import Clusterability, RaterDiagnostics
from ds2.method.knn import KnnGraph
from ds2.method.length import LengthOfOrders

Array = NDArray[np.float64]

LENGTH_DRIVEN = 0.5
"""Spearman correlation of score and length from which the warning speaks."""
WEAK = 1.15
"""Ratio below which neighbours are said to tell little, though more than nothing."""
SHUFFLES = 20


def measure_clusterability(
    graph: KnnGraph, scores: NDArray[np.int64], *, k: int = 10, seed: int = 0
) -> Clusterability | None:
    """Agreement of neighbours' scores against shuffled scores; None where fewer than ten samples are rated.

    scores: (N,) in 0..K-1, -1 unrated: a pair counts where both are rated.
    """
    rated = np.flatnonzero(scores >= 0)
    if len(rated) < 10:
        return None
    near = graph.neighbors[rated, : min(k, graph.k)]
    agreement, error = _pair_agreement(scores, rated, near)
    triple = _triple_agreement(scores, rated, near)
    rng = np.random.default_rng([seed, 3])
    shuffled = scores.copy()
    chances, triples = [], []
    for _ in range(SHUFFLES):
        shuffled[rated] = rng.permutation(scores[rated])
        chances.append(_pair_agreement(shuffled, rated, near)[0])
        triples.append(_triple_agreement(shuffled, rated, near))
    chance = float(np.mean(chances))
    if chance == 0 or chance >= 1:  # every score different, or all the same: nothing to learn from neighbours
        return Clusterability(agreement, chance, 1.0, 1.0, 1.0, triple, float(np.mean(triples)), False)
    half = 1.96 * float(np.hypot(error, np.std(chances))) / chance
    ratio = agreement / chance
    return Clusterability(
        agreement=agreement,
        chance=chance,
        ratio=ratio,
        ratio_low=ratio - half,
        ratio_high=ratio + half,
        triple_agreement=triple,
        triple_chance=float(np.mean(triples)),
        informative=bool(ratio - half > 1.0),
    )


def neighbor_agreement(scores: NDArray[np.int64], theirs: NDArray[np.int64]) -> Array:
    """Share of each sample's rated neighbours that have its score, (n,); NaN where it or all of them are
    unrated.

    scores (n,), theirs (n, k): scores, -1 unrated.
    """
    counted = (theirs >= 0) & (scores >= 0)[:, None]
    total = counted.sum(axis=1)
    equal = ((theirs == scores[:, None]) & counted).sum(axis=1)
    return np.where(total > 0, equal / np.maximum(total, 1), np.nan)


def _pair_agreement(
    scores: NDArray[np.int64], rated: NDArray[np.int64], near: NDArray[np.int32]
) -> tuple[float, float]:
    """Mean agreement over samples with a rated neighbour, and its standard error."""
    shares = neighbor_agreement(scores[rated], scores[near])
    shares = shares[~np.isnan(shares)]
    if not shares.size:
        return 0.0, 0.0
    return float(shares.mean()), float(shares.std() / np.sqrt(len(shares)))


def _triple_agreement(scores: NDArray[np.int64], rated: NDArray[np.int64], near: NDArray[np.int32]) -> float:
    if near.shape[1] < 2:
        return 0.0
    return float((scores[near[:, :2]] == scores[rated][:, None]).all(axis=1).mean())


def describe_rater(
    scores: NDArray[np.int64],
    num_scores: int,
    graph: KnnGraph,
    *,
    k: int,
    seed: int,
    T: Array | None,
    lengths: Array | None,
) -> RaterDiagnostics:
    """Everything that `RaterDiagnostics` holds for one rater's scores (N,)."""
    rated = scores >= 0
    counts = np.bincount(scores[rated], minlength=num_scores)
    correlation = None
    if lengths is not None and rated.sum() > 2 and np.ptp(scores[rated]) > 0 and np.ptp(lengths[rated]) > 0:
        from scipy.stats import spearmanr  # half a second that a command which only plans need not spend

        correlation = float(spearmanr(scores[rated], lengths[rated]).statistic)
    return RaterDiagnostics(
        num_rated=int(rated.sum()),
        score_counts=[int(c) for c in counts],
        largest_share=float(counts.max() / max(counts.sum(), 1)),
        empty_scores=[int(j) for j in np.flatnonzero(counts == 0)],
        clusterability=measure_clusterability(graph, scores, k=k, seed=seed),
        length_correlation=correlation,
        diagonally_dominant=None if T is None else bool((T.argmax(axis=1) == np.arange(num_scores)).all()),
    )


def rater_warnings(rater: RaterDiagnostics, label: str) -> list[str]:
    """One line for each thing a person should know about this rater; label names it ("this rater", "rater
    2").
    """
    if rater.num_rated == 0:
        return [f"{label} rated nothing"]
    said = []
    c = rater.clusterability
    if c is not None and not c.informative:
        said.append(
            f"neighbours carry no information about {label}: their scores agree {c.agreement:.3f} of the "
            f"time, {c.chance:.3f} by chance (ratio {c.ratio:.2f}, {c.ratio_low:.2f} to {c.ratio_high:.2f})"
        )
    elif c is not None and c.ratio < WEAK:
        said.append(
            f"neighbours tell little about {label}: they agree only {c.ratio:.2f} times as often as by chance"
        )
    if rater.largest_share >= 1.0:
        said.append(f"{label} gives one score only: there is nothing to curate")
    elif rater.largest_share > COLLAPSED:
        said.append(f"{label} has collapsed: one score takes {rater.largest_share:.0%} of the samples")
    if rater.empty_scores:
        levels = ", ".join(map(str, rater.empty_scores))
        said.append(f"{label} never gives score {levels}: these levels rest on the prior alone")
    if rater.length_correlation is not None and abs(rater.length_correlation) >= LENGTH_DRIVEN:
        said.append(f"scores of {label} follow length (Spearman {rater.length_correlation:.2f})")
    if rater.diagonally_dominant is False:
        said.append(
            f"the transition matrix of {label} is not diagonally dominant: some true score is mostly rated "
            "as another, so its rows may be permuted"
        )
    return said


def length_warnings(length: LengthOfOrders) -> list[str]:
    """A line where the order follows length, and clearly more than the given scores do."""
    given, order = length.given, length.order
    if given is None or order is None or order.spearman < max(LENGTH_DRIVEN, given.spearman + 0.1):
        return []
    return [
        f"the order follows length (Spearman {order.spearman:.2f}, the given scores {given.spearman:.2f}): "
        "method='refine' with length='ignore' (curation.length=ignore) takes it out"
    ]


def count_repeats(texts: Sequence[str]) -> int:
    """Number of texts that occurred before."""
    return len(texts) - len(set(texts))
