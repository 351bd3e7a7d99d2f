"""Curation: every sample's curated score, how the rater errs, and, where asked for, posterior and
uncertainty.

The table has one row a sample, in pool order:

    id, row, source   of the sample
    score             int16, as given; -1: unrated
    curated           int64; -1: no score
    confidence        float64, in [0, 1]
    flagged           bool: the given score is judged wrong
    long_tail         float64, higher is rarer
    posterior_mean    float64, the expected true score; NaN without a posterior
    refined           float64, of `refine`: orders samples, the given score first
    student           float64, of `refine`: what the rater's student predicts out of fold, in scores

Samples that people scored, where there are any, have a table of their own:

    position          int64, in pool order
    score             int64, the person's, 0..K-1
    weight            float64, how many samples it stands for
    order             float64, what the sample would be ordered by, had it not been asked
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ds2.artifacts.reading import damaged, parsed, read_array, read_dataclass, read_object, read_table
from ds2.artifacts.samples import identity_columns
from ds2.base.dataclass_json import to_plain
from ds2.base.json_files import write_json
from ds2.base.number_files import write_array
from ds2.method.curation.result import Asked, CurationResult, Diagnostics, Interval, Uncertainty
from ds2.pool import Pool

if TYPE_CHECKING:
    import pandas as pd

_TABLE = "curation.parquet"
_RATER_ERRORS = "transition.json"
_POSTERIOR = "posterior.npy"
_ANCHORS = "anchors.parquet"
_UNCERTAINTY = "uncertainty.json"
_ERROR_PROBABILITY = "error_probability.npy"
_INTERVALS = ("transition", "prior", "clusterability")


@dataclass(frozen=True, eq=False)
class RaterErrors:
    """How the raters err, and how far to trust that estimate. K score levels, R raters."""

    transition: NDArray[np.float64] | None
    """(K, K), T[i, j] = P(rated j | true i); None for several raters, and where none was estimated."""
    transitions: NDArray[np.float64] | None
    """(R, K, K), one a rater; None for one rater, and where none was estimated."""
    prior: NDArray[np.float64] | None
    """(K,) P(true i); None where none was estimated."""
    num_scores: int
    """K."""
    diagnostics: Diagnostics

    def write(self, folder: Path) -> None:
        """Raises ValueError for a number that is not finite."""
        arrays = {name: getattr(self, name) for name in ("transition", "transitions", "prior")}
        write_json(
            folder / _RATER_ERRORS,
            {
                **{name: None if array is None else array.tolist() for name, array in arrays.items()},
                "num_scores": self.num_scores,
                "diagnostics": self.diagnostics.to_dict(),
            },
        )

    @classmethod
    def read(cls, folder: Path) -> RaterErrors:
        """What `write` wrote into the folder of a `curate` artifact.

        Raises:
            DamagedArtifact: naming the file and the key at fault.
        """
        path = folder / _RATER_ERRORS
        kept = read_dataclass(_RaterErrors, path)
        k = kept.num_scores
        return cls(
            _array(kept.transition, (k, k), path, "transition"),
            _array(kept.transitions, (-1, k, k), path, "transitions"),
            _array(kept.prior, (k,), path, "prior"),
            k,
            kept.diagnostics,
        )


@dataclass(frozen=True)
class _RaterErrors:
    """As JSON holds them."""

    transition: list[list[float]] | None
    prior: list[float] | None
    num_scores: int
    diagnostics: Diagnostics
    transitions: list[list[list[float]]] | None = None


def write_curation(
    folder: Path, pool: Pool, scores: NDArray[np.int16], result: CurationResult, num_scores: int
) -> None:
    """All of it. `scores` (N,) are the given ones, of several raters one a sample."""
    import pandas as pd

    mean = result.posterior_mean
    columns = {
        "score": scores,
        "curated": result.curated,
        "confidence": result.confidence,
        "flagged": result.flagged,
        "long_tail": result.long_tail,
        "posterior_mean": np.full(len(pool), np.nan) if mean is None else mean,
    }
    if result.refined is not None and result.student is not None:
        columns |= {"refined": result.refined, "student": result.student}
    pd.DataFrame({**identity_columns(pool), **columns}).to_parquet(folder / _TABLE, index=False)
    if result.posterior is not None:
        write_array(folder / _POSTERIOR, result.posterior.astype(np.float32))
    if result.uncertainty is not None:
        _write_uncertainty(folder, result.uncertainty)
    if result.asked is not None:
        asked = result.asked
        table = {
            "position": asked.rows, "score": asked.scores, "weight": asked.weight, "order": asked.order
        }  # fmt: skip
        pd.DataFrame(table).to_parquet(folder / _ANCHORS, index=False)
    of_one = result.transition is not None and result.transition.ndim == 2
    transition, transitions = (result.transition, None) if of_one else (None, result.transition)
    RaterErrors(transition, transitions, result.prior, num_scores, result.diagnostics).write(folder)


def read_curation(folder: Path, *columns: str) -> pd.DataFrame:
    """The table, N rows in pool order: the named columns, or all. Raises DamagedArtifact."""
    return read_table(folder / _TABLE, columns or None)


def read_asked(folder: Path) -> Asked | None:
    """The samples that people scored; None where nobody was asked. Raises DamagedArtifact."""
    path = folder / _ANCHORS
    if not path.is_file():
        return None
    table = read_table(path, ("position", "score", "weight", "order"))
    rows, scores = (table[name].to_numpy(dtype=np.int64) for name in ("position", "score"))
    weight, order = (table[name].to_numpy(dtype=np.float64) for name in ("weight", "order"))
    return Asked(rows, scores, weight, order)


def read_posterior(folder: Path) -> NDArray[np.float32] | None:
    """(N, K) P(true i | everything); None where the method has none. Raises DamagedArtifact."""
    path = folder / _POSTERIOR
    return read_array(path, np.float32, dimensions=(2,)) if path.is_file() else None


def _write_uncertainty(folder: Path, uncertainty: Uncertainty) -> None:
    intervals = {name: getattr(uncertainty, name) for name in _INTERVALS}
    points = zip(uncertainty.stability_budgets.tolist(), uncertainty.stability.tolist(), strict=True)
    kept = _Uncertainty(
        uncertainty.resamples,
        **{name: _Interval(i.low.tolist(), i.high.tolist()) for name, i in intervals.items()},
        stability=[_Stability(budget, overlap) for budget, overlap in points],
    )
    write_json(folder / _UNCERTAINTY, to_plain(kept))
    write_array(folder / _ERROR_PROBABILITY, uncertainty.error_probability.astype(np.float32))


def read_uncertainty(folder: Path) -> Uncertainty | None:
    """What resampling says of the curation; None without `curation.bootstrap`. Error probabilities have
    float32's digits.

    Raises:
        DamagedArtifact: naming the file and the key at fault.
    """
    path = folder / _UNCERTAINTY
    if not path.is_file():
        return None
    kept = parsed(_Uncertainty, read_object(path), path)
    errors = read_array(folder / _ERROR_PROBABILITY, np.float32, dimensions=(1, 2))
    return Uncertainty(
        resamples=kept.resamples,
        **{name: _interval(getattr(kept, name), path, name) for name in _INTERVALS},
        error_probability=errors.astype(np.float64),
        stability_budgets=np.array([point.budget for point in kept.stability], dtype=np.int64),
        stability=np.array([point.expected_overlap for point in kept.stability], dtype=np.float64),
    )


@dataclass(frozen=True)
class _Interval:
    """As JSON holds it: nested lists of numbers."""

    low: list[Any]
    high: list[Any]


@dataclass(frozen=True)
class _Stability:
    budget: int
    expected_overlap: float
    """The share of the subset that another resample would choose too."""


@dataclass(frozen=True)
class _Uncertainty:
    """As JSON holds it."""

    resamples: int
    transition: _Interval
    prior: _Interval
    clusterability: _Interval
    stability: list[_Stability] = field(default_factory=list)


def _interval(kept: _Interval, path: Path, name: str) -> Interval:
    low, high = (
        _numbers(end, path, f"{name}.{which}") for end, which in ((kept.low, "low"), (kept.high, "high"))
    )
    if low.shape != high.shape:
        raise damaged(path, f"{name}: low has shape {low.shape}, high {high.shape}")
    return Interval(low, high)


def _array(
    value: Sequence[Any] | None, shape: tuple[int, ...], path: Path, name: str
) -> NDArray[np.float64] | None:
    """The array of a shape, in which -1 is any length."""
    if value is None:
        return None
    array = _numbers(value, path, name)
    if array.ndim != len(shape) or any(
        n not in (-1, length) for n, length in zip(shape, array.shape, strict=True)
    ):
        raise damaged(path, f"{name}: shape {array.shape}")
    return array


def _numbers(value: Sequence[Any], path: Path, name: str) -> NDArray[np.float64]:
    try:
        return np.asarray(value, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise damaged(path, f"{name}: {error}") from error
