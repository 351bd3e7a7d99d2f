"""Scores without their samples: the unrated, medians, means, and a rater's agreement with itself.

Scores are s in 0..K-1, -1 unrated. The agreement of repeats (`rater.repeats`) is the share of equal pairs and
Cohen's quadratic-weighted kappa, 1 - sum_ij (i-j)^2 P_ij / sum_ij (i-j)^2 p_i q_j, with P the table of pairs
and p, q its margins.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

S = TypeVar("S", np.int16, np.int64)

UNRATED = -1
"""The score of a sample without a rating."""
COLLAPSED = 0.8
"""A rater that gives one score to more than this share of the samples tells them apart no longer."""


@dataclass(frozen=True)
class RepeatAgreement:
    """How alike the scores of two repeats are, pooled over all pairs of repeats."""

    pairs: int
    """Pairs of scores compared: both repeats of the sample rated."""
    exact: float
    """Share of pairs with equal scores."""
    kappa: float
    """Quadratic-weighted: 1 is perfect, 0 is chance. Pooled with both orders of each pair, so no repeat comes
    first."""


def between_repeats(scores: NDArray[np.int16], num_scores: int) -> RepeatAgreement | None:
    """The agreement of (N, R) scores, -1 unrated; None where no sample was rated twice."""
    joint = np.zeros((num_scores, num_scores), dtype=np.int64)
    for a, b in combinations(scores.T, 2):
        both = (a >= 0) & (b >= 0)
        np.add.at(joint, (a[both], b[both]), 1)
    pairs = int(joint.sum())
    if pairs == 0:
        return None
    return RepeatAgreement(pairs, float(joint.trace() / pairs), float(kappa_of_table(joint + joint.T)))


def lower_median(scores: NDArray[S]) -> NDArray[S]:
    """(N,) lower median of each sample's rated scores, given as (N, R); -1 where there are none."""
    ordered = np.sort(np.where(scores == UNRATED, np.iinfo(scores.dtype).max, scores), axis=1)
    count = (scores != UNRATED).sum(axis=1)
    middle = ordered[np.arange(len(scores)), np.maximum(count - 1, 0) // 2]
    return np.where(count > 0, middle, UNRATED).astype(scores.dtype)


def row_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) mean of each row's numbers; NaN where there are none."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def quadratic_kappa(a: NDArray[np.int64], b: NDArray[np.int64], num_scores: int) -> float:
    """Cohen's kappa with weights (i - j)^2: 1 is perfect, 0 is chance; 1 where both are the same constant."""
    joint = np.bincount(a * num_scores + b, minlength=num_scores**2)
    return float(kappa_of_table(joint.reshape(num_scores, num_scores)))


def kappa_of_table(joint: NDArray[Any]) -> NDArray[np.float64]:
    """`quadratic_kappa` of tables of counts (..., K, K), one rater's score by the other's."""
    share = joint / joint.sum(axis=(-2, -1), keepdims=True)
    levels = np.arange(joint.shape[-1])
    d = np.subtract.outer(levels, levels) ** 2
    expected = share.sum(axis=-1)[..., :, None] * share.sum(axis=-2)[..., None, :]
    chance = (d * expected).sum(axis=(-2, -1))
    seen = (d * share).sum(axis=(-2, -1))
    return np.asarray(np.where(chance == 0, 1.0, 1.0 - seen / np.where(chance == 0, 1.0, chance)))
