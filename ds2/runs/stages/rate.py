"""Stage `rate`: what a rater says of each sample."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ds2.artifacts import ratings as artifact
from ds2.artifacts.store import Outcome, Step
from ds2.base.dataclass_json import to_plain
from ds2.config import LlmRaterConfig, ReleasedRaterConfig, SimulatedRaterConfig
from ds2.pool import Pool
from ds2.rating import by_model, planning
from ds2.rating.raters import Ratings, rate, transition_matrix
from ds2.runs.context import Context, identity


def step(run: Context) -> Step:
    """The step that writes the ratings."""
    rater, scale = run.config.rater, run.config.scale
    content: Mapping[str, Any] = {}
    drop: tuple[str, ...] = ("confidence",)
    if rater.implementation is not None:
        content = rater.implementation_identity() | run.contents(rater, rater.files)
        drop = (*drop, *rater.files)
    elif isinstance(rater, LlmRaterConfig):
        return _step_of_model(run, rater)
    elif isinstance(rater, ReleasedRaterConfig):
        content, drop = {"file": run.hashes.of(Path(rater.path))}, (*drop, "path")
    elif isinstance(rater, SimulatedRaterConfig):
        matrix = transition_matrix(rater, scale.num_scores)
        content, drop = {"matrix": matrix.round(12).tolist()}, (*drop, "matrix")

    def compute(folder: Path) -> Outcome:
        pool = run.pool.load()
        ratings = rate(rater, pool, scale)
        artifact.write_ratings(folder, pool, ratings)
        return _outcome(run, pool, ratings)

    values = {"rater": {**identity(rater, drop=drop), **content}, "scale": to_plain(scale)}
    slug = f"{run.pool.name}-{rater.name}"
    return Step("rate", 1, slug, values, run.inputs(pool=True), compute, package=rater.package)


def _step_of_model(run: Context, rater: LlmRaterConfig) -> Step:
    """Where a model is served, what it may cost and how it is run are no part of what it says."""
    scale = run.config.scale
    drop: tuple[str, ...] = (
        "model",
        "revision",
        "base_url",
        "ca_file",
        "api_version",
        "max_cost",
        "max_unrated",
        "confidence",
    )
    if rater.batches == 1:
        drop = (*drop, "batches", "stop_when")
    by_model.check(rater, scale)
    model: Mapping[str, str] = {"served": rater.model}
    commit: str | None = None
    if not rater.backend.served:
        model, commit = run.named(rater.model, rater.revision)
    answers = Path(run.config.paths.artifacts) / by_model.FOLDER

    def compute(folder: Path) -> Outcome:
        pool = run.pool.load()
        ratings = by_model.rate(
            rater, pool, scale, model=model, revision=commit, folder=answers, progress=run.progress
        )
        artifact.write_ratings(folder, pool, ratings)
        return _outcome(run, pool, ratings)

    def forecast() -> list[str]:
        pool = run.pool.load()
        expected = planning.forecast(rater, pool, model=model, revision=commit, folder=answers)
        return planning.lines(rater, len(pool), expected, run.config.curation.method)

    values = {"rater": {**identity(rater, drop=drop), "model": model}, "scale": to_plain(scale)}
    slug = f"{run.pool.name}-{rater.name}"
    return Step("rate", 3, slug, values, run.inputs(pool=True), compute, forecast)


def _outcome(run: Context, pool: Pool, ratings: Ratings) -> Outcome:
    """What the ratings are, whoever gave them; what a person reads first comes first."""
    scores = ratings.scores[ratings.scores >= 0]
    asked = np.ones(len(pool), dtype=bool) if ratings.asked is None else ratings.asked
    rated = np.isfinite(ratings.ratings)
    first = {"samples": len(pool)}
    if ratings.details is not None:  # how many were repaired is in the model's report
        first = {"asked": int(asked.sum()), "rated": int((asked & rated).sum()), "repaired": 0}
    counts = {
        **first,
        "unrated": int((asked & ~rated).sum()),
        "samples": len(pool),
        "scores": np.bincount(scores, minlength=run.config.scale.num_scores).tolist(),
        "dropped": pool.dropped,
        **({} if ratings.details is None else ratings.details.report.counts()),
    }
    return Outcome(counts, (*pool.warnings, *ratings.warnings))
