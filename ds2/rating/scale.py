"""The compression of ratings to scores (method: s = clip(r, low, high) - low)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import UserError
from ds2.config import RatingUnit, ScaleConfig
from ds2.method.agreement import UNRATED


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
    values: NDArray[np.float64], unit: RatingUnit, scale: ScaleConfig, *, what: str
) -> NDArray[np.int16]:
    """Given values as scores: compressed where they are ratings, checked where they are scores already.

    Args:
        values: (N,) with NaN for unrated.
        what: names the values in an error.

    Raises:
        UserError: a score outside 0..K-1 or not whole (named by its place).
    """
    if unit is RatingUnit.ratings:
        return compress(values, scale)
    rated = ~np.isnan(values)
    bad = rated & ((values < 0) | (values > scale.num_scores - 1) | (values != np.rint(values)))
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise UserError(
            f"{what}: value {values[at]:g} at position {at} is not a score 0..{scale.num_scores - 1}; for "
            "raw ratings set rater.unit=ratings, for another number of levels scale.low and scale.high"
        )
    return np.where(rated, values, UNRATED).astype(np.int16)
