"""Stage `rate` of one rater: what it says of each sample. Of a panel: `rate_panel`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ds2.artifacts import ratings as artifact
from ds2.artifacts.step import Outcome, Step
from ds2.artifacts.versions import version
from ds2.base.dataclass_json import to_plain
from ds2.base.errors import MissingInput
from ds2.config import LlmRaterConfig, ReleasedRaterConfig, SimulatedRaterConfig
from ds2.models import flops
from ds2.models.compute import SERVER, UNKNOWN, Compute, device_name, parameters_of
from ds2.pool import Pool
from ds2.rating import by_model, planning
from ds2.rating.cost import dollars_of, stated_parameters, tokens_told
from ds2.rating.raters import Ratings, rate, transition_matrix
from ds2.rating.rubric import rubric_of
from ds2.runs.context import Context, identity

_NO_SAY = (
    "model", "revision", "base_url", "ca_file", "api_version", "max_cost", "max_unrated", "confidence",
    "prompt",
)  # fmt: skip
"""Of a language model as rater: named otherwise in its identity, or where and at what cost it is asked."""


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
        content = {"file": run.hashes.of(Path(rater.path))}
        drop = (*drop, "path", *(["columns"] if rater.columns is None else []))
    elif isinstance(rater, SimulatedRaterConfig):
        matrix = transition_matrix(rater, scale.num_scores)
        content, drop = {"matrix": matrix.round(12).tolist()}, (*drop, "matrix")

    def compute(folder: Path) -> Outcome:
        pool = run.pool.load()
        ratings = rate(rater, pool, scale)
        artifact.write_ratings(folder, pool, ratings)
        # Scores from elsewhere cost somebody something, and nobody tells what.
        return replace(outcome_of(run, pool, ratings), compute=UNKNOWN)

    values = {"rater": {**identity(rater, drop=drop), **content}, "scale": to_plain(scale)}
    slug = f"{run.pool.name}-{rater.name}"
    number = version("rate", "several" if rater.several else "scores")
    return Step("rate", number, slug, values, run.inputs(pool=True), compute, package=rater.package)


def _step_of_model(run: Context, rater: LlmRaterConfig) -> Step:
    """Where a model is served, what it may cost and how it is run are no part of what it says."""
    scale, rater = run.config.scale, replace(rater, backend=rater.backend.here)
    drop = _NO_SAY if rater.batches > 1 else (*_NO_SAY, "batches", "stop_when")
    by_model.check(rater, scale)
    model, commit = _model_of(run, rater)
    answers = Path(run.config.paths.artifacts) / by_model.FOLDER

    def compute(folder: Path) -> Outcome:
        pool = run.pool.load()
        ratings = by_model.rate(
            rater,
            pool,
            scale,
            model=model,
            revision=commit,
            folder=answers,
            progress=run.progress,
            engine=run.engine,
        )
        artifact.write_ratings(folder, pool, ratings)
        outcome = outcome_of(run, pool, ratings)
        compute, untold = _compute(rater, outcome.counts, commit)
        return replace(outcome, compute=compute, warnings=(*outcome.warnings, *untold))

    def forecast() -> list[str]:
        size = len(run.pool.load())
        return planning.lines(rater, size, forecast_of(run, rater), run.config.curation.method)

    own = {} if rater.prompt is None else {"prompt": rubric_of(rater.prompt).digest}
    values = {"rater": {**identity(rater, drop=drop), "model": model, **own}, "scale": to_plain(scale)}
    slug = f"{run.pool.name}-{rater.name}"
    number = version("rate", "model" if rater.repeats == 1 else "repeats")
    return Step("rate", number, slug, values, run.inputs(pool=True), compute, forecast)


def _compute(
    rater: LlmRaterConfig, counts: Mapping[str, Any], commit: str | None
) -> tuple[Compute, tuple[str, ...]]:
    """What the model's answers took, those of earlier runs included: each token read or written is a forward
    pass. How large a model behind an API is, nobody tells but `rater.params_b`. And what could not be told.
    """
    told, size = tokens_told(counts), stated_parameters(rater)
    device = SERVER if rater.backend.served else device_name("auto")
    untold: tuple[str, ...] = ()
    if size is None and not rater.backend.served:
        try:
            size = parameters_of(rater.model, commit)
        except MissingInput as error:
            untold = (f"{error}; rater.params_b= tells",)
    operations = None if told is None or size is None else flops.reading(size, told)
    return Compute(told, operations, dollars_of(rater, counts), device), untold


def forecast_of(run: Context, rater: LlmRaterConfig) -> planning.Forecast:
    """What is left to ask of the rater; remembered for the run."""
    if rater.name not in run.forecasts:
        model, commit = _model_of(run, rater)
        answers = Path(run.config.paths.artifacts) / by_model.FOLDER
        run.forecasts[rater.name] = planning.forecast(
            rater, run.pool.load(), model=model, revision=commit, folder=answers
        )
    return run.forecasts[rater.name]


def _model_of(run: Context, rater: LlmRaterConfig) -> tuple[Mapping[str, str], str | None]:
    """What identifies the model, and its commit where it is on the hub."""
    if rater.backend.served:
        return {"served": rater.model}, None
    return run.named(rater.model, rater.revision)


def outcome_of(run: Context, pool: Pool, ratings: Ratings) -> Outcome:
    """What the ratings are, whoever gave them; what a person reads first comes first."""
    scores = ratings.scores[ratings.scores >= 0]
    asked = np.ones(len(pool), dtype=bool) if ratings.asked is None else ratings.asked
    rated = np.isfinite(ratings.ratings)
    first = {"samples": len(pool)}
    if ratings.columns is not None and not ratings.columns.repeats:
        first["raters"] = len(set(ratings.columns.raters))
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
