"""What diversity costs: quality and variety of the subset at each weight.

    value_n(w) = (1 - w) q_n + w v_n       q, v in [0, 1]: shares of the pool that lie below n in quality,
                                           in variety

w = 0 takes the best, w = 1 the rarest. For each w: the mean quality of the subset that it takes, in the
units of quality, the mean variety, and how many kinds (sources, say) the subset holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Array = NDArray[np.float64]
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


@dataclass(frozen=True)
class Price:
    """The subset at one weight."""

    weight: float
    quality: float
    """Mean over the subset."""
    variety: float
    kinds: int
    shared: float
    """Share of the subset that weight 0 would have taken too."""


def blend(quality: Array, variety: Array, weight: float) -> Array:
    """(n,) value of each of n samples. Raises ValueError for a weight outside [0, 1]."""
    if not 0 <= weight <= 1:
        raise ValueError(f"weight must be in 0..1, got {weight}")
    return (1 - weight) * _shares(quality) + weight * _shares(variety)


def price_of_diversity(
    quality: Array, variety: Array, kinds: Sequence[str], budget: int, weights: Sequence[float] = WEIGHTS
) -> list[Price]:
    """What a subset of `budget` out of n samples is worth at each weight; equal values by row."""
    names = np.asarray(kinds, dtype=object)
    best = set(_head(blend(quality, variety, 0.0), budget).tolist())
    prices = []
    for weight in weights:
        rows = _head(blend(quality, variety, weight), budget)
        prices.append(
            Price(
                weight, float(quality[rows].mean()), float(variety[rows].mean()), len(set(names[rows])),
                len(best & set(rows.tolist())) / len(rows),
            )
        )  # fmt: skip
    return prices


def _head(values: Array, budget: int) -> NDArray[np.int64]:
    return np.argsort(-values, kind="stable")[:budget].astype(np.int64)


def _shares(values: Array) -> Array:
    """The share of all values that lie below each, (N,), ties at their middle."""
    return np.asarray((rankdata(values) - 0.5) / len(values))
