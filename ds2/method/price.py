"""What diversity costs: quality and variety of the subset at each weight of rarity, and at each cover.

    value_n(w) = (1 - w) q_n + w v_n       q, v in [0, 1]: shares of the pool that lie below n in quality,
                                           in variety

w = 0 takes the best, w = 1 the rarest. For each w: the mean quality of the subset that it takes, in the
units of quality, and what that buys: mean variety, cover of the pool (`covering`), and how many kinds
(sources, say) the subset holds. The same for the best subset of each cover.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from ds2.method.covering import cover, leaders, least_leaders

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
STEPS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Shares of the way from the best subset's cover to the largest, at which the price of cover is given."""


class BoughtBy(Enum):
    long_tail = "long_tail"
    """A weight of the long-tail score beside quality."""
    cover = "cover"
    """The best subset that covers so much."""


@dataclass(frozen=True, kw_only=True)
class Worth:
    """One subset."""

    quality: float
    """Mean over the subset."""
    variety: float
    kinds: int
    shared: float
    """Share of the subset that weight 0 takes too."""
    cover: float | None = None
    """Share of the pool that it covers; None without a graph."""


@dataclass(frozen=True, kw_only=True)
class Price(Worth):
    """The subset at one weight."""

    weight: float
    """Of variety beside quality; `by` cover: the share of the pool that is asked for."""
    by: BoughtBy = BoughtBy.long_tail


class Pricing:
    """Everything that subsets of one pool and budget are measured by. N samples.

    quality (N,): NaN where a sample cannot be chosen. variety (N,). kinds: N names. neighbors (N, k): None
    without a graph. Equal values by row.
    """

    def __init__(
        self,
        quality: Array,
        variety: Array,
        kinds: Sequence[str],
        budget: int,
        neighbors: NDArray[np.int32] | None = None,
    ) -> None:
        self._quality, self._variety, self._budget = quality, variety, budget
        self._kinds = np.unique(np.asarray(kinds, dtype=object).astype(str), return_inverse=True)[1]
        self._neighbors = neighbors
        self._able = np.flatnonzero(np.isfinite(quality))
        self._best = self._head(quality[self._able])
        self._taken_at_0 = np.zeros(len(quality), dtype=bool)
        self._taken_at_0[self._best[:budget]] = True

    def worth(self, rows: Rows) -> Worth:
        """What a subset is worth."""
        known = rows[np.isfinite(self._quality[rows])]
        return Worth(
            quality=float(self._quality[known].mean()) if len(known) else float("nan"),
            variety=float(self._variety[rows].mean()),
            kinds=len(np.unique(self._kinds[rows])),
            shared=float(self._taken_at_0[rows].mean()),
            cover=None if self._neighbors is None else cover(self._neighbors, rows),
        )

    def by_long_tail(self, weights: Sequence[float] = WEIGHTS) -> list[Price]:
        """The subset at each weight of variety."""
        quality, variety = self._quality[self._able], self._variety[self._able]
        taken = (self._head(blend(quality, variety, w))[: self._budget] for w in weights)
        return [self._price(w, BoughtBy.long_tail, rows) for w, rows in zip(weights, taken, strict=True)]

    def by_cover(self, steps: Sequence[float] = STEPS) -> list[Price]:
        """The best subset at steps of cover; none without a graph."""
        if self._neighbors is None:
            return []
        near, best, take = self._neighbors, self._best, self._within_budget
        first = leaders(near, best)
        low, high = cover(near, take(best)), least_leaders(near, best, first, 1.0, take)[1]
        asked = [low + step * (high - low) for step in steps]
        taken = (least_leaders(near, best, first, share, take)[0] for share in asked)
        return [self._price(share, BoughtBy.cover, rows) for share, rows in zip(asked, taken, strict=True)]

    def _within_budget(self, order: Rows) -> Rows:
        return order[: self._budget]

    def _price(self, weight: float, by: BoughtBy, rows: Rows) -> Price:
        return Price(weight=weight, by=by, **vars(self.worth(rows)))

    def _head(self, values: Array) -> Rows:
        """Samples that can be chosen, in the order of their values."""
        return np.asarray(self._able[np.argsort(-values, kind="stable")], dtype=np.int64)


def blend(quality: Array, variety: Array, weight: float) -> Array:
    """(n,) value of each of n samples. Raises ValueError for a weight outside [0, 1]."""
    if not 0 <= weight <= 1:
        raise ValueError(f"weight must be in 0..1, got {weight}")
    return (1 - weight) * _shares(quality) + weight * _shares(variety)


def _shares(values: Array) -> Array:
    """The share of all values that lie below each, (N,), ties at their middle."""
    from scipy.stats import rankdata

    return np.asarray((rankdata(values) - 0.5) / len(values))
