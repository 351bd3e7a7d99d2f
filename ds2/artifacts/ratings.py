"""Ratings, and where a language model was asked, what came of its answers.

The table has one row a sample, in pool order:

id, row, source          of the sample
score                    int16, 0..K-1; -1: unrated; of several raters the lower median
rating                   float64, raw; NaN where there is none; of several raters the mean
score_0, score_1, ...    int16, where there are several raters, or repeats of one; a file beside says
                         whose each is
rarity, complexity,      float64, where a language model was asked; NaN where it did not say
  informativeness        (or the criteria of rater.prompt, but the last)
outcome                  a value of `Outcome`, or `NOT_ASKED`, where a language model was asked
rating_0, rating_1, ...  float64, where it was asked several times
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ds2.artifacts.reading import (
    damaged,
    parsed,
    read_array,
    read_dataclass,
    read_object,
    read_table,
    table_columns,
)
from ds2.artifacts.samples import identity_columns
from ds2.base.dataclass_json import to_plain
from ds2.base.json_files import write_json, write_json_lines
from ds2.base.number_files import write_array
from ds2.method.agreement import RepeatAgreement
from ds2.pool import Pool
from ds2.rating.outcomes import ModelRatings, RatingReport, UnratedSample
from ds2.rating.parse import Outcome
from ds2.rating.raters import RaterScores, Ratings

if TYPE_CHECKING:
    import pandas as pd

_TABLE = "ratings.parquet"
_REPORT = "rating_report.json"
_UNRATED = "unrated.jsonl"
_DISTRIBUTION = "distribution.npy"
_RATERS = "raters.json"
_MOST_REASONS = 50
NOT_RESULTS = {_REPORT: frozenset({"replayed"})}
"""File -> keys that tell of how often the stage was begun, not of what came out."""


def write_ratings(folder: Path, pool: Pool, ratings: Ratings) -> None:
    """All of it."""
    import pandas as pd

    columns = {**identity_columns(pool), "score": ratings.scores, "rating": ratings.ratings}
    if ratings.columns is not None:
        columns |= {f"score_{c}": scores for c, scores in enumerate(ratings.columns.scores.T)}
        write_json(folder / _RATERS, to_plain(_Raters(list(ratings.columns.raters))))
    if ratings.details is not None:
        columns |= _columns_of_model(ratings.details)
        write_report(folder, ratings.details.report)
        write_json_lines(folder / _UNRATED, _unrated_rows(pool, ratings.details.unrated))
        if ratings.details.distribution is not None:
            write_array(folder / _DISTRIBUTION, ratings.details.distribution)
    pd.DataFrame(columns).to_parquet(folder / _TABLE, index=False)


def read_ratings(folder: Path, *columns: str) -> pd.DataFrame:
    """The table, N rows in pool order: the named columns, or all. Raises DamagedArtifact."""
    return read_table(folder / _TABLE, columns or None)


def read_scores(folder: Path) -> NDArray[np.int16]:
    """(N,) scores; -1: unrated. Raises DamagedArtifact."""
    return read_ratings(folder, "score")["score"].to_numpy(dtype=np.int16)


def read_rater_scores(folder: Path) -> RaterScores | None:
    """The scores of several raters, or of one's repeats, and whose each column is; None where there is one
    column, which `read_scores` reads.

    Raises:
        DamagedArtifact: no such table, columns that are missing or nobody's, or a number that is no score.
    """
    path = folder / _RATERS
    stored = [name for name in table_columns(folder / _TABLE) if re.fullmatch(r"score_\d+", name)]
    if not path.is_file():
        if stored:
            raise damaged(path, FileNotFoundError())
        return None
    raters = read_dataclass(_Raters, path).raters
    if len(raters) < 2 or len(stored) != len(raters):
        raise damaged(path, f"{len(raters)} raters of {len(stored)} columns of scores")
    table = read_ratings(folder, *(f"score_{c}" for c in range(len(raters))))
    scores = table.to_numpy(dtype=np.float64)
    if not (np.isfinite(scores) & (scores >= -1) & (scores == np.rint(scores))).all():
        raise damaged(folder / _TABLE, "a score that is no whole number from 0, nor -1")
    return RaterScores(scores.astype(np.int16), tuple(raters))


@dataclass(frozen=True)
class _Raters:
    """As JSON holds them."""

    raters: list[str]
    """One a column."""


def read_distribution(folder: Path) -> NDArray[np.float32] | None:
    """(N, 9) P(rating = 1..9), NaN rows: unrated; None without `rater.reading=expected`. Raises
    DamagedArtifact.
    """
    path = folder / _DISTRIBUTION
    return read_array(path, np.float32, dimensions=(2,)) if path.is_file() else None


def write_report(folder: Path, report: RatingReport) -> None:
    """What a language model did with the pool; of the reasons for unread answers, the frequent ones."""
    by_source = sorted(report.outcomes.items())
    content = {
        **report.counts(),
        "most_common_score": report.most_common,
        "by_source": {source: {o.value: counts[o.value] for o in Outcome} for source, counts in by_source},
        "reasons": dict(report.reasons.most_common(_MOST_REASONS)),
        "models": dict(report.models.most_common()),
    }
    write_json(folder / _REPORT, content)


def read_report(folder: Path) -> RatingReport | None:
    """The same; None where no language model was asked.

    Raises:
        DamagedArtifact: naming the file and the key at fault.
    """
    path = folder / _REPORT
    if not path.is_file():
        return None
    totals = {outcome.value for outcome in Outcome}  # sums over the sources
    kept = parsed(
        _Report, {key: value for key, value in read_object(path).items() if key not in totals}, path
    )
    agreement = None
    if kept.repeats_pairs is not None and kept.repeats_exact is not None and kept.repeats_kappa is not None:
        agreement = RepeatAgreement(kept.repeats_pairs, kept.repeats_exact, kept.repeats_kappa)
    return RatingReport(
        outcomes={source: Counter(counts) for source, counts in kept.by_source.items()},
        reasons=Counter(kept.reasons),
        cut=kept.cut,
        answers=kept.answers,
        replayed=kept.replayed,
        changes=Counter(kept.changes),
        prompt_tokens=kept.prompt_tokens or 0,
        cached_tokens=kept.cached_tokens or 0,
        completion_tokens=kept.completion_tokens or 0,
        untold=kept.answers_without_tokens,
        models=Counter(kept.models),
        largest_share=kept.largest_share,
        most_common=kept.most_common_score,
        agreement=agreement,
    )


@dataclass(frozen=True, kw_only=True)
class _Report:
    """As JSON holds it, without the sums over the sources."""

    cut: int = 0
    answers: int
    replayed: int = 0
    changes: dict[str, int] = field(default_factory=dict)
    prompt_tokens: int | None = 0
    """None: the server told of no answer."""
    cached_tokens: int | None = 0
    completion_tokens: int | None = 0
    answers_without_tokens: int = 0
    largest_share: float = 0.0
    repeats_pairs: int | None = None
    repeats_exact: float | None = None
    repeats_kappa: float | None = None
    most_common_score: int | None = None
    by_source: dict[str, dict[str, int]]
    reasons: dict[str, int] = field(default_factory=dict)
    models: dict[str, int] = field(default_factory=dict)


def _columns_of_model(details: ModelRatings) -> dict[str, Any]:
    """The columns that only a language model fills."""
    known = np.isfinite(details.criteria)
    count = known.sum(axis=1)
    mean = np.where(known, details.criteria, 0.0).sum(axis=1) / np.maximum(count, 1)
    columns: dict[str, Any] = {
        criterion: np.where(count[:, c] > 0, mean[:, c], np.nan)
        for c, criterion in enumerate(details.names[:-1])
    }
    columns["outcome"] = details.outcomes
    if details.criteria.shape[1] > 1:
        columns |= {f"rating_{r}": repeat for r, repeat in enumerate(details.criteria[:, :, -1].T)}
    return columns


def _unrated_rows(pool: Pool, unrated: tuple[UnratedSample, ...]) -> Iterator[Mapping[str, Any]]:
    for one in unrated:
        sample = pool.samples[one.position]
        yield {
            "id": sample.id, "row": sample.row, "source": sample.source,
            "outcome": one.outcome.value, "reason": one.reason, "text": one.text,
        }  # fmt: skip
