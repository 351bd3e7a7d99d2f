"""The impure world: neighbours and raters as real sets show them, whose texts both models and people rated.

In the pure world a cluster's samples have its level, and a simulated rater errs anew on every sample. Here a
sample has its cluster's level with probability `PURITY`, otherwise that of any cluster, and raters err
together. With z a sample's standardised true score, rater r says

    L_r = a_r z + sqrt(1 - a_r^2) e_r        cut into levels of fixed shares (`SCORE_SHARES`)
    e_r = sum of independent standard terms, each times the square root of its share of the variance:
          the answer's length; a liking of the cluster that all raters have; one of this rater alone;
          how the sample looks to all raters; chance

so errors are shared between neighbours, between raters and with length. Every constant is set so that
`python benchmarks/mini_worlds.py` finds in this world what it finds in the sets, on average (docs/mini.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

PURITY: Final = 0.45
"""Share of a cluster's samples that have its level for certain."""
AGREEMENT: Final[Mapping[str, float]] = {"good": 0.74, "fair": 0.58, "poor": 0.48}
"""a_r: correlations with people of real raters at their quartiles (.70, .53, .45), raised by what cutting
into levels takes away.
"""
LENGTH, CLUSTER, OWN_CLUSTER, SAMPLE = 0.02, 0.24, 0.1, 0.27
"""Shares of the error's variance, in the order of the formula; chance has the rest."""
SCORE_SHARES: Final = (0.05, 0.12, 0.15, 0.45, 0.20, 0.03)
"""Shares of a rater's levels, lowest first, at six levels; other numbers interpolate their sums."""


def rate_together(
    true_scores: Sequence[int], clusters: Sequence[str], lengths: Sequence[int], num_scores: int, rng: Random
) -> list[dict[str, int]]:
    """What each rater of `AGREEMENT` says of each sample: rater -> score in 0..num_scores-1.

    lengths: characters of the answers.
    """
    z = standardised([float(score) for score in true_scores])
    long = standardised([math.log1p(length) for length in lengths])
    names = sorted(set(clusters))
    liked = {name: rng.gauss() for name in names}
    looks = [rng.gauss() for _ in z]
    said: list[dict[str, int]] = [{} for _ in z]
    chance = 1 - LENGTH - CLUSTER - OWN_CLUSTER - SAMPLE
    for rater, agreement in AGREEMENT.items():
        own = {name: rng.gauss() for name in names}
        heard = []
        for i, cluster in enumerate(clusters):
            error = (
                math.sqrt(LENGTH) * long[i] + math.sqrt(CLUSTER) * liked[cluster]
                + math.sqrt(OWN_CLUSTER) * own[cluster] + math.sqrt(SAMPLE) * looks[i]
                + math.sqrt(chance) * rng.gauss()
            )  # fmt: skip
            heard.append(agreement * z[i] + math.sqrt(1 - agreement**2) * error)
        for i, score in enumerate(cut_into_shares(heard, num_scores)):
            said[i][rater] = score
    return said


def cut_into_shares(values: Sequence[float], num_scores: int) -> list[int]:
    """Levels 0..num_scores-1 by rank, of the shares of `SCORE_SHARES`."""
    ends = [_share_below((level + 1) / num_scores) * len(values) for level in range(num_scores - 1)]
    levels = [0] * len(values)
    for rank, i in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        levels[i] = sum(rank >= end for end in ends)
    return levels


def standardised(values: Sequence[float]) -> list[float]:
    """The values less their mean, in standard deviations; zeros where all are equal."""
    mean = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    return [(value - mean) / spread if spread > 0 else 0.0 for value in values]


def _share_below(place: float) -> float:
    """The sum of `SCORE_SHARES` up to a place of the scale in 0..1, between their sums by a straight line."""
    at = place * len(SCORE_SHARES)
    below = min(int(at), len(SCORE_SHARES) - 1)
    return math.fsum(SCORE_SHARES[:below]) + (at - below) * SCORE_SHARES[below]
