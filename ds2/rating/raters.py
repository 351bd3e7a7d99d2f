"""Raters that need no model: released score files, columns of the pool, and simulated raters."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import UserError
from ds2.base.load import load_function
from ds2.base.number_files import read_score_file
from ds2.config import (
    ColumnRaterConfig,
    RaterConfig,
    RatingUnit,
    ReleasedRaterConfig,
    ScaleConfig,
    SeveralRatersConfig,
    SimulatedRaterConfig,
    Unrated,
)
from ds2.method.agreement import UNRATED, lower_median, row_means
from ds2.pool import Pool
from ds2.rating.scale import outside, to_scores

if TYPE_CHECKING:
    from ds2.rating.outcomes import ModelRatings


@dataclass(frozen=True, eq=False)
class RaterScores:
    """Scores in several columns, and whose each is."""

    scores: NDArray[np.int16]
    """(N, C) scores 0..K-1; -1: unrated."""
    raters: tuple[str, ...]
    """(C,) the rater of each column; columns of one name are its repeats."""

    @property
    def repeats(self) -> bool:
        """Whether all columns are of one rater."""
        return len(set(self.raters)) == 1


@dataclass(frozen=True)
class Ratings:
    """What a rater said of N samples."""

    scores: NDArray[np.int16]
    """(N,) scores 0..K-1; -1: unrated."""
    ratings: NDArray[np.float64]
    """(N,) raw values as the rater gave them; NaN: unrated."""
    warnings: tuple[str, ...] = ()
    columns: RaterScores | None = None
    """Where there are several raters, or repeats of one; of several raters `scores` is the lower median."""
    asked: NDArray[np.bool_] | None = None
    """(N,) samples that the rater was shown (`rater.sample`); None: all."""
    details: ModelRatings | None = None
    """What a language model's ratings have beyond these: criteria, outcomes, report."""


def rate(config: RaterConfig, pool: Pool, scale: ScaleConfig) -> Ratings:
    """The scores of a pool by a rater that asks no model, with its policy for unrated samples applied.

    Raises:
        UserError: values out of range or of the wrong number, or unrated samples under `unrated=fail`.
    """
    if config.implementation is not None:
        return apply_unrated(config, _checked(config, pool, scale))
    for kind, read in _RATERS:
        if isinstance(config, kind):
            return apply_unrated(config, read(config, pool, scale))
    raise TypeError(f"unknown kind of rater: {type(config).__name__}")


def apply_unrated(config: RaterConfig, ratings: Ratings) -> Ratings:
    """The ratings with the rater's policy for unrated samples applied. Raises UserError under
    `unrated=fail`."""
    unrated = ratings.scores == UNRATED
    if ratings.asked is not None:
        unrated &= ratings.asked
    count = int(unrated.sum())
    if count == 0:
        return ratings
    if config.unrated is Unrated.fail:
        raise UserError(f"rater={config.name} left {count} samples unrated and rater.unrated=fail")
    scores, warning = ratings.scores, f"{count} samples are unrated"
    if config.unrated is Unrated.lowest_score:
        scores = np.where(unrated, 0, scores).astype(np.int16)
        warning = f"{count} unrated samples were given the lowest score (rater.unrated=lowest_score)"
    return replace(ratings, scores=scores, warnings=(*ratings.warnings, warning))


def _checked(config: RaterConfig, pool: Pool, scale: ScaleConfig) -> Ratings:
    """What the rater's implementation says. Raises UserError where that is not one score a sample."""
    ratings = load_function(str(config.implementation))(config, pool, scale)
    if not isinstance(ratings, Ratings):
        raise UserError(
            f"{config.implementation} returns {type(ratings).__name__}, not ds2.rating.raters.Ratings"
        )
    scores = np.asarray(ratings.scores)
    if scores.shape != (len(pool),) or np.shape(ratings.ratings) != (len(pool),):
        raise UserError(f"{config.implementation} must return {len(pool)} scores and ratings, one a sample")
    if scores.dtype.kind not in "iu" or ((scores < UNRATED) | (scores >= scale.num_scores)).any():
        raise UserError(
            f"{config.implementation}: scores are integers, 0..{scale.num_scores - 1}, or -1 for unrated"
        )
    columns = ratings.columns
    if columns is not None:
        table = np.asarray(columns.scores)
        whole = table.dtype.kind in "iu" and ((table >= UNRATED) & (table < scale.num_scores)).all()
        if len(columns.raters) < 2 or table.shape != (len(pool), len(columns.raters)) or not whole:
            raise UserError(
                f"{config.implementation}: columns hold one score a sample for each of two raters or more"
            )
    return ratings


def _from_file(config: ReleasedRaterConfig, pool: Pool, scale: ScaleConfig) -> Ratings:
    values = read_score_file(Path(config.path).expanduser(), config.key)
    if len(values) < pool.rows_read or (len(values) > pool.rows_read and not pool.limited):
        raise UserError(
            f"rater.path={config.path} holds {len(values)} scores, the pool {pool.rows_read} rows; the file "
            "must have one score a row, in pool order"
        )
    taken = values[np.asarray(pool.rows)]
    return _scored(taken, config.unit, pool, scale, f"rater.path={config.path}")


def _from_arrays(config: ReleasedRaterConfig, pool: Pool, scale: ScaleConfig) -> Ratings:
    if config.columns is None:
        return _from_file(config, pool, scale)
    if config.key is not None:
        raise UserError("rater.key names one array and rater.columns several: give one of the two")
    _check_columns(config.columns, one="rater.key")
    each = [_from_file(replace(config, columns=None, key=name), pool, scale) for name in config.columns]
    values = np.stack([ratings.ratings for ratings in each], axis=1)
    return _several(config.columns, each, values)


def _check_columns(columns: list[str], one: str) -> None:
    if len(set(columns)) < max(2, len(columns)):
        raise UserError(f"rater.columns must name at least two different columns; for one, use {one}")


def _several(names: list[str], each: list[Ratings], values: NDArray[np.float64]) -> Ratings:
    """Of several raters' ratings and raw values (N, R)."""
    table = np.stack([one.scores for one in each], axis=1)
    warnings = tuple(warning for one in each for warning in one.warnings)
    columns = RaterScores(table, tuple(names))
    return Ratings(lower_median(table), row_means(values), warnings, columns=columns)


def _from_column(config: ColumnRaterConfig, pool: Pool, scale: ScaleConfig) -> Ratings:
    values = column_numbers(pool, config.column)
    return _scored(values, config.unit, pool, scale, f"rater.column={config.column}")


def _scored(
    values: NDArray[np.float64], unit: RatingUnit, pool: Pool, scale: ScaleConfig, what: str
) -> Ratings:
    scores = to_scores(values, unit, scale, what=what, named=pool.named)
    return Ratings(scores, values, tuple(outside(values, unit, scale, what=what)))


def _from_columns(config: SeveralRatersConfig, pool: Pool, scale: ScaleConfig) -> Ratings:
    _check_columns(config.columns, one="rater=from_column")
    values = np.stack([column_numbers(pool, column) for column in config.columns], axis=1)
    each = [
        _scored(column, config.unit, pool, scale, f"rater.columns: {name}")
        for name, column in zip(config.columns, values.T, strict=True)
    ]
    return _several(config.columns, each, values)


def column_numbers(pool: Pool, column: str) -> NDArray[np.float64]:
    """A column as numbers, NaN where it is null. A number in text is read as one, as CSV has it.

    Raises UserError naming the sample whose value is none.
    """
    values = np.full(len(pool), np.nan)
    for i, value in enumerate(pool.column(column)):
        number = _number(value)
        if number is None:
            raise UserError(
                f"column {column} of {pool.named(i)} is {_shown(value)}, not a number: write it as one, or "
                "as null where the sample is unrated"
            )
        values[i] = number
    return values


def _number(value: Any) -> float | None:
    """NaN for a value that is absent, None for one that is no number."""
    if value is None or (isinstance(value, str) and value.strip().lower() in _ABSENT):
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value) if not (isinstance(value, str) and "_" in value) else None
    except (ValueError, OverflowError):
        return None


_ABSENT = ("", "nan", "null", "none", "na", "n/a")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."


def _simulate(config: SimulatedRaterConfig, pool: Pool, scale: ScaleConfig) -> Ratings:
    truth = to_scores(
        column_numbers(pool, config.truth),
        RatingUnit.scores,
        scale,
        what=f"rater.truth={config.truth}",
        named=pool.named,
    )
    if (truth == UNRATED).any():
        raise UserError(f"rater.truth={config.truth}: {(truth == UNRATED).sum()} samples have no true score")
    cumulative = np.cumsum(transition_matrix(config, scale.num_scores), axis=1)
    draws = np.random.default_rng(config.seed).random(len(pool))
    scores = (draws[:, None] > cumulative[truth]).sum(axis=1).clip(max=scale.num_scores - 1).astype(np.int16)
    return Ratings(scores, scores.astype(np.float64) + scale.low)


def transition_matrix(config: SimulatedRaterConfig, num_scores: int) -> NDArray[np.float64]:
    """The K x K matrix that a simulated rater draws from, rows renormalised (printed ones are rounded).

    Raises:
        UserError: rows of unequal length, another K, a negative entry or an empty row.
    """
    try:
        matrix = np.asarray(config.matrix, dtype=np.float64)
    except ValueError as error:
        raise UserError("rater.matrix must have rows of equal length") from error
    if matrix.shape != (num_scores, num_scores):
        raise UserError(
            f"the transition matrix of rater={config.name} is {' x '.join(map(str, matrix.shape))}, the "
            f"scale has {num_scores} scores; give a rater.matrix of that size"
        )
    if not np.isfinite(matrix).all() or (matrix < 0).any() or (matrix.sum(axis=1) <= 0).any():
        raise UserError("a transition matrix needs finite, non-negative entries and no empty row")
    normalised: NDArray[np.float64] = matrix / matrix.sum(axis=1, keepdims=True)
    return normalised


_RATERS: tuple[tuple[type, Callable[[Any, Pool, ScaleConfig], Ratings]], ...] = (
    (ReleasedRaterConfig, _from_arrays),
    (ColumnRaterConfig, _from_column),
    (SeveralRatersConfig, _from_columns),
    (SimulatedRaterConfig, _simulate),
)
