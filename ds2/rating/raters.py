"""Raters that need no model: released score files, columns of the pool, and simulated raters."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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
from ds2.errors import MissingInput, UserError
from ds2.paths import project_root
from ds2.pool import Pool
from ds2.rating.scale import UNRATED, to_scores

if TYPE_CHECKING:
    from ds2.rating.report import ModelRatings


@dataclass(frozen=True)
class Ratings:
    """What a rater said of N samples."""

    scores: NDArray[np.int16]
    """(N,) scores 0..K-1; -1: unrated."""
    ratings: NDArray[np.float64]
    """(N,) raw values as the rater gave them; NaN: unrated."""
    warnings: tuple[str, ...] = ()
    by_rater: NDArray[np.int16] | None = None
    """(N, R) scores of several raters, where there are several; `scores` is then the lower median of each sample's."""
    asked: NDArray[np.bool_] | None = None
    """(N,) samples that the rater was shown (`rater.sample`); None: all."""
    details: ModelRatings | None = None
    """Of a language model: criteria, outcomes, report."""


def rate(config: RaterConfig, pool: Pool, scale: ScaleConfig) -> Ratings:
    """The scores of a pool by a rater that asks no model, with its policy for unrated samples applied.

    Raises:
        UserError: values out of range or of the wrong number, or unrated samples under `unrated=fail`.
    """
    for kind, read in _RATERS:
        if isinstance(config, kind):
            return apply_unrated(config, read(config, pool, scale))
    raise TypeError(f"unknown kind of rater: {type(config).__name__}")


def apply_unrated(config: RaterConfig, ratings: Ratings) -> Ratings:
    """The ratings with the rater's policy for unrated samples applied. Raises UserError under `unrated=fail`."""
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


def _from_file(config: ReleasedRaterConfig, pool: Pool, scale: ScaleConfig) -> Ratings:
    values = read_score_file(Path(config.path).expanduser(), config.key)
    if len(values) < pool.rows_read or (len(values) > pool.rows_read and not pool.limited):
        raise UserError(
            f"rater.path={config.path} holds {len(values)} scores, the pool {pool.rows_read} rows; the file must have "
            "one score a row, in pool order"
        )
    taken = values[np.asarray(pool.rows)]
    return Ratings(to_scores(taken, config.unit, scale, what=f"rater.path={config.path}"), taken)


def read_score_file(path: Path, key: str | None = None, *, option: str = "rater") -> NDArray[np.float64]:
    """Scores from `.pt` (a list or tensor, read without unpickling code), `.npz` or `.npy`.

    Returns:
        (n,) values; NaN where the file says so.

    Raises:
        UserError: no such file, another ending, no such array, or not one number a row.
    """
    if not path.is_file():
        raise MissingInput(f"{option}.path={path}: no such file")
    if path.suffix == ".pt":
        values = _read_pt(path)
    elif path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            names = list(arrays.files)
            if key is None and len(names) != 1:
                raise UserError(
                    f"{path} holds several arrays; choose one with {option}.key: {', '.join(names)}"
                )
            if key is not None and key not in names:
                raise UserError(f"{path} has no array {key}; it has: {', '.join(names)}")
            values = arrays[key or names[0]]
    elif path.suffix == ".npy":
        values = np.load(path, allow_pickle=False)
    else:
        raise UserError(f"{option}.path={path} does not end in .pt, .npz or .npy")
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{path} does not hold one number a row: {error}") from error
    if array.ndim != 1:
        raise UserError(f"{path} holds an array of shape {array.shape}, not one number a row")
    return array


def _read_pt(path: Path) -> Any:
    import pickle

    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise UserError(
            f"{path} is not a plain list or tensor of scores: {str(error).splitlines()[0]}"
        ) from error


def _from_column(config: ColumnRaterConfig, pool: Pool, scale: ScaleConfig) -> Ratings:
    values = _numbers(pool, config.column)
    return Ratings(to_scores(values, config.unit, scale, what=f"rater.column={config.column}"), values)


def _from_columns(config: SeveralRatersConfig, pool: Pool, scale: ScaleConfig) -> Ratings:
    if len(set(config.columns)) < 2:
        raise UserError(
            "rater.columns must name at least two different columns; for one, use rater=from_column"
        )
    values = np.stack([_numbers(pool, column) for column in config.columns], axis=1)
    named = zip(config.columns, values.T, strict=True)
    scores = [to_scores(own, config.unit, scale, what=f"rater.columns: {column}") for column, own in named]
    table = np.stack(scores, axis=1)
    return Ratings(lower_median(table), _row_means(values), by_rater=table)


def _row_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) mean of each row's numbers; NaN where there are none."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def lower_median(scores: NDArray[np.int16]) -> NDArray[np.int16]:
    """(N,) lower median of each row's rated scores; -1 where there are none."""
    ordered = np.sort(np.where(scores == UNRATED, np.iinfo(np.int16).max, scores), axis=1)
    count = (scores != UNRATED).sum(axis=1)
    middle = ordered[np.arange(len(scores)), np.maximum(count - 1, 0) // 2]
    return np.where(count > 0, middle, UNRATED).astype(np.int16)


def _numbers(pool: Pool, column: str) -> NDArray[np.float64]:
    values = np.full(len(pool), np.nan)
    for i, value in enumerate(pool.column(column)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(f"column {column} of row {pool.samples[i].row} is {value!r}, not a number")
        values[i] = value
    return values


def _simulate(config: SimulatedRaterConfig, pool: Pool, scale: ScaleConfig) -> Ratings:
    truth = to_scores(
        _numbers(pool, config.truth), RatingUnit.scores, scale, what=f"rater.truth={config.truth}"
    )
    if (truth == UNRATED).any():
        raise UserError(f"rater.truth={config.truth}: {(truth == UNRATED).sum()} samples have no true score")
    cumulative = np.cumsum(transition_matrix(config, scale.num_scores), axis=1)
    draws = np.random.default_rng(config.seed).random(len(pool))
    scores = (draws[:, None] > cumulative[truth]).sum(axis=1).clip(max=scale.num_scores - 1).astype(np.int16)
    return Ratings(scores, scores.astype(np.float64) + scale.low)


def transition_matrix(config: SimulatedRaterConfig, num_scores: int) -> NDArray[np.float64]:
    """The K x K matrix that a simulated rater draws from, rows renormalised (published ones are rounded).

    Raises:
        UserError: neither or both given, an unknown rater, another K, a negative entry or an empty row.
    """
    if (config.published is None) == (config.matrix is None):
        raise UserError("a simulated rater needs either rater.published or rater.matrix")
    if config.published is not None:
        known = published_matrices()
        if config.published not in known:
            raise UserError(
                f"no published matrix of {config.published}; there are: {', '.join(sorted(known))}"
            )
        matrix = known[config.published]
    else:
        try:
            matrix = np.asarray(config.matrix, dtype=np.float64)
        except ValueError as error:
            raise UserError("rater.matrix must have rows of equal length") from error
    if matrix.shape != (num_scores, num_scores):
        raise UserError(
            f"the transition matrix of rater={config.name} is {' x '.join(map(str, matrix.shape))}, the scale has "
            f"{num_scores} scores; give a rater.matrix of that size"
        )
    if not np.isfinite(matrix).all() or (matrix < 0).any() or (matrix.sum(axis=1) <= 0).any():
        raise UserError("a transition matrix needs finite, non-negative entries and no empty row")
    normalised: NDArray[np.float64] = matrix / matrix.sum(axis=1, keepdims=True)
    return normalised


@cache
def published_matrices() -> dict[str, NDArray[np.float64]]:
    """Rater -> the 6 x 6 matrix as the paper prints it (Figure 3, two decimals)."""
    matrices: dict[str, NDArray[np.float64]] = {}
    path = project_root() / "experiments" / "published" / "transition_matrices.csv"
    with path.open(encoding="utf-8", newline="") as handle:
        for line in csv.DictReader(handle):
            matrix = matrices.setdefault(line["rater"], np.zeros((6, 6)))
            matrix[int(line["true_score"])] = [float(line[f"rated_{j}"]) for j in range(6)]
    return matrices


_RATERS: tuple[tuple[type, Callable[[Any, Pool, ScaleConfig], Ratings]], ...] = (
    (ReleasedRaterConfig, _from_file),
    (ColumnRaterConfig, _from_column),
    (SeveralRatersConfig, _from_columns),
    (SimulatedRaterConfig, _simulate),
)
