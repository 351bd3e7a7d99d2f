"""How well a rater agrees with itself: the test-retest agreement of `rater.repeats`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Agreement:
    """Of the scores of two repeats, pooled over all pairs of repeats."""

    pairs: int
    """Pairs of scores compared: both repeats of the sample rated."""
    exact: float
    """Share of pairs with equal scores."""
    kappa: float
    """Quadratic-weighted: 1 is perfect, 0 is chance. Pooled with both orders of each pair, so no repeat comes first."""


def between_repeats(scores: NDArray[np.int16], num_scores: int) -> Agreement | None:
    """The agreement of (N, R) scores, -1 unrated; None where no sample was rated twice."""
    joint = np.zeros((num_scores, num_scores), dtype=np.int64)
    for a, b in combinations(scores.T, 2):
        both = (a >= 0) & (b >= 0)
        np.add.at(joint, (a[both], b[both]), 1)
    pairs = int(joint.sum())
    if pairs == 0:
        return None
    return Agreement(pairs, float(joint.trace() / pairs), float(kappa_of_table(joint + joint.T)))


UNRATED = -1
"""The score of a sample without a rating."""


def lower_median(scores: NDArray[np.int16]) -> NDArray[np.int16]:
    """(N,) lower median of each row's rated scores; -1 where there are none."""
    ordered = np.sort(np.where(scores == UNRATED, np.iinfo(np.int16).max, scores), axis=1)
    count = (scores != UNRATED).sum(axis=1)
    middle = ordered[np.arange(len(scores)), np.maximum(count - 1, 0) // 2]
    return np.where(count > 0, middle, UNRATED).astype(np.int16)


def median_score(scores: NDArray[np.int64]) -> NDArray[np.int64]:
    """Lower median of each sample's rated scores, (N,); -1 where there are none. Of one rater, its score."""
    ordered = np.sort(np.where(scores < 0, np.iinfo(np.int64).max, scores), axis=1)
    count = (scores >= 0).sum(axis=1)
    middle = ordered[np.arange(len(scores)), np.maximum(count - 1, 0) // 2]
    return np.where(count > 0, middle, -1)


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
