"""The compression of ratings to scores (method: s = clip(r, low, high) - low)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import UserError
from ds2.config import RatingUnit, ScaleConfig
from ds2.method.agreement import UNRATED

LOWEST, HIGHEST = 1, 10
"""The raw ratings that raters are asked for."""


def compress(ratings: NDArray[np.float64], scale: ScaleConfig) -> NDArray[np.int16]:
    """Scores 0..K-1 of raw ratings.

    Args:
        ratings: (N,) raw ratings; NaN where a sample is unrated. Halves round to even.

    Returns:
        (N,) scores, `UNRATED` where the rating is NaN.
    """
    rated = ~np.isnan(ratings)
    scores = np.full(len(ratings), UNRATED, dtype=np.int16)
    scores[rated] = np.clip(np.rint(ratings[rated]), scale.low, scale.high).astype(np.int16) - scale.low
    return scores


def to_scores(
    values: NDArray[np.float64],
    unit: RatingUnit,
    scale: ScaleConfig,
    *,
    what: str,
    named: Callable[[int], str] = lambda at: f"row {at + 1}",
) -> NDArray[np.int16]:
    """Given values as scores: compressed where they are ratings, checked where they are scores already.

    Args:
        values: (N,) with NaN for unrated.
        what: names the values in an error; `named`: the sample at a position.

    Raises:
        UserError: a score outside 0..K-1 or not whole (named by its sample).
    """
    if unit is RatingUnit.ratings:
        return compress(values, scale)
    rated = ~np.isnan(values)
    bad = rated & ((values < 0) | (values > scale.num_scores - 1) | (values != np.rint(values)))
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise UserError(
            f"{what}: {values[at]:g}, of {named(at)}, is not a score 0..{scale.num_scores - 1}; for raw "
            "ratings (1..10) set rater.unit=ratings, for another number of levels scale.low and scale.high"
        )
    return np.where(rated, values, UNRATED).astype(np.int16)


def outside(values: NDArray[np.float64], unit: RatingUnit, scale: ScaleConfig, *, what: str) -> list[str]:
    """A warning where raw ratings lie outside the range that a rater is asked for, and so are clipped."""
    low, high = min(LOWEST, scale.low), max(HIGHEST, scale.high)
    rated = values[~np.isnan(values)]
    beyond = int(((rated < low) | (rated > high)).sum())
    if unit is not RatingUnit.ratings or not beyond:
        return []
    return [
        f"{what}: {beyond:,} of {len(rated):,} ratings lie outside {low}..{high} and are clipped; they go "
        f"from {rated.min():g} to {rated.max():g}: bring the column to {low}..{high} first"
    ]
