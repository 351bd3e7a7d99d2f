"""Ratings: `ratings.parquet`, one row a sample, and of a language model what came of its answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ds2.artifacts.samples import identity_columns
from ds2.base.json_files import write_json
from ds2.pool import Pool

if TYPE_CHECKING:
    from ds2.rating.outcomes import ModelRatings
    from ds2.rating.raters import Ratings


def write_ratings(folder: Path, pool: Pool, ratings: Ratings) -> None:
    table = pd.DataFrame({**identity_columns(pool), "score": ratings.scores, "rating": ratings.ratings})
    if ratings.by_rater is not None:
        for r, own in enumerate(ratings.by_rater.T):
            table[f"score_{r}"] = own
    if ratings.details is not None:
        _add_details(folder, pool, table, ratings.details)
    table.to_parquet(folder / "ratings.parquet", index=False)


def _add_details(folder: Path, pool: Pool, table: pd.DataFrame, details: ModelRatings) -> None:
    known = np.isfinite(details.criteria)
    count = known.sum(axis=1)
    mean = np.where(known, details.criteria, 0.0).sum(axis=1) / np.maximum(count, 1)
    for c, criterion in enumerate(("rarity", "complexity", "informativeness")):
        table[criterion] = np.where(count[:, c] > 0, mean[:, c], np.nan)
    table["outcome"] = details.outcomes
    if details.criteria.shape[1] > 1:
        for r, own in enumerate(details.criteria[:, :, -1].T):
            table[f"rating_{r}"] = own
    write_json(folder / "rating_report.json", details.report.to_dict())
    with (folder / "unrated.jsonl").open("w", encoding="utf-8") as lines:
        for one in details.unrated:
            sample = pool.samples[one.position]
            row = {"id": sample.id, "row": sample.row, "source": sample.source}
            told = {"outcome": one.outcome.value, "reason": one.reason, "text": one.text}
            lines.write(json.dumps(row | told, ensure_ascii=False) + "\n")
    if details.distribution is not None:
        np.save(folder / "distribution.npy", details.distribution)


def read_scores(folder: Path) -> NDArray[np.int16]:
    """(N,) scores of a `rate` artifact; -1: unrated."""
    return pd.read_parquet(folder / "ratings.parquet", columns=["score"])["score"].to_numpy(dtype=np.int16)


def read_rater_scores(folder: Path) -> NDArray[np.int16]:
    """(N, R) scores of several raters where the artifact holds them, else (N,); -1: unrated."""
    table = pd.read_parquet(folder / "ratings.parquet")
    own = [name for name in table.columns if name.startswith("score_")]
    return table[own or "score"].to_numpy(dtype=np.int16)
