"""How well a rater agrees with itself: the test-retest agreement of `rater.repeats`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ds2.curation.validation import kappa_of_table


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
