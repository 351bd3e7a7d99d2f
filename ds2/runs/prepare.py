"""`prepare=true`: fetch what a run needs, so that it can run on a machine without network.

Everything that cannot be had is named in one error, after everything that can has been fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ds2.base.errors import MissingInput, UserError
from ds2.base.words import number_of
from ds2.config import (
    HubModelConfig,
    HubPoolConfig,
    LlmRaterConfig,
    RunConfig,
    SentenceEmbedderConfig,
)
from ds2.config.measured_selection import MeasuredSelectionConfig
from ds2.config.rating import raters_of
from ds2.config.stages import stages_of
from ds2.runs import launcher
from ds2.runs.stages.sift import questions_for


@dataclass(frozen=True)
class Need:
    """One thing to have on this machine."""

    what: str
    fetch: Callable[[], str]
    """Fetches it and says where it is. Raises MissingInput."""


def prepare(config: RunConfig, say: Callable[[str], None]) -> None:
    """Fetch the run's pool, models and benchmark data.

    Raises:
        MissingInput: naming everything that could not be had.
    """
    missing = []
    for need in needs(config):
        try:
            say(f"{need.what}: {need.fetch()}")
        except UserError as error:
            missing.append(f"{need.what} ({error})")
    if missing:
        raise MissingInput("missing: " + "; ".join(missing))


def needs(config: RunConfig) -> Iterator[Need]:
    """What the stages of the run read from outside the clone."""
    stages = stages_of(config)
    yield Need(f"pool {config.pool.name or 'files'}", lambda: _pool(config))
    if config.pool.sifts:
        yield Need("questions of pool.decontaminate", lambda: _questions(config))
    for rater in raters_of(config.rater) if "rate" in stages else ():
        if isinstance(rater, LlmRaterConfig) and not rater.backend.served:
            yield Need(f"rater {rater.name}", partial(_model, rater.model, rater.revision))
    if "embed" in stages and isinstance(config.embedder, SentenceEmbedderConfig):
        embedder = config.embedder
        yield Need(f"embedder {embedder.name}", lambda: _model(embedder.model, embedder.revision))
    if isinstance(config.selection, MeasuredSelectionConfig) and config.selection.scorer is not None:
        scorer, revision = config.selection.scorer, config.selection.scorer_revision
        yield Need(f"scorer of selection={config.selection.name}", lambda: _model(scorer, revision))
    if "model" in stages and isinstance(config.model, HubModelConfig):
        model = config.model
        yield Need(f"base model {model.name}", lambda: _model(model.path, model.revision))
    if "evaluate" in stages and (config.eval.tasks or config.eval.companions):
        yield Need(f"benchmark data of eval={config.eval.name}", lambda: _benchmarks(config))


def _model(name: str, revision: str | None) -> str:
    from ds2.base.hub import fetch

    local = Path(name).expanduser()
    return str(local) if local.exists() else str(fetch(name, revision, kind="model"))


def _pool(config: RunConfig) -> str:
    from ds2.pool import PoolSource

    source = PoolSource(config.pool, num_scores=config.scale.num_scores)
    if isinstance(source.config, HubPoolConfig):  # also one that pool.path=hf://... names
        from ds2.base.hub import fetch

        fetch(source.config.dataset, source.config.revision, kind="dataset")
    return number_of(len(source.load()), "sample")


def _questions(config: RunConfig) -> str:
    questions = questions_for(config)
    return ", ".join(f"{len(asked):,} of {name}" for name, asked in questions.items()) or "none named"


def _benchmarks(config: RunConfig) -> str:
    model = config.model
    path, revision = (model.path, model.revision) if isinstance(model, HubModelConfig) else ("", None)
    return launcher.prepare_tasks(config.eval, base_model=path, revision=revision)
