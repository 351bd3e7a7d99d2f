"""What a run cost, stage by stage: seconds, tokens, operations, dollars.

Each stage tells in its record what it computed (`ds2.models.compute`); seconds are the wall time there, of
the machine that computed the stage, also where the run reused it. Operations are 2 N a token that a model
reads or writes and 6 N a token that it trains on or takes a gradient of, N its parameters
(`ds2.models.flops`); of the graph, 2 N^2 d for N rows of d numbers. What no record and no configuration tells
is None and never 0: scores that came with the pool cost somebody something. Making the base model and
evaluating are no cost of a choice and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ds2.artifacts import adapter
from ds2.artifacts.run import RunResult
from ds2.artifacts.step import StageResult
from ds2.artifacts.subset import subset_size
from ds2.config import LlmRaterConfig, PanelRaterConfig, RaterConfig, TfidfEmbedderConfig
from ds2.config.rating import raters_of
from ds2.config.stages import STAGES as CHAIN
from ds2.config.stages import flops_text
from ds2.models import flops
from ds2.models.compute import NO_MODEL, UNKNOWN, Compute, from_block
from ds2.rating.cost import stated_parameters, tokens_told
from ds2.report.panel_facts import rating_costs

STAGES = tuple(stage for stage in CHAIN if stage not in ("model", "export", "evaluate", "report"))
"""Those that a choice has to pay for; all but the last are the selection's."""
WITHOUT_MODEL = ("sift", "curate", "select")


@dataclass(frozen=True)
class Cost:
    """Of one stage; None: not known."""

    seconds: float | None
    tokens: int | None = None
    """Read and written by models, or trained on in all passes."""
    flops: float | None = None
    dollars: float | None = None
    """Paid to somebody; a machine of one's own has no price here."""


@dataclass(frozen=True)
class Spent:
    """A run's costs in the three budgets, and what selection took; None: not known, or nothing trained."""

    samples: int | None
    """Trained on; those selected where nothing was trained."""
    tokens: int | None
    """Trained on, in all passes."""
    responses: int | None
    """Those of them that carry loss."""
    flops: float | None
    """Of training."""
    selection_flops: float | None
    """Of the stages before training; None where one of them, among `uncounted`, is not known."""
    selection_seconds: float
    """Of the stages before training whose time is known: a lower bound where `unknown` names one."""
    training_seconds: float
    dollars: float | None
    unknown: tuple[str, ...]
    """Stages before training of which no time is known."""
    uncounted: tuple[str, ...]
    """Stages before training whose operations are not known."""

    @property
    def all_flops(self) -> float | None:
        """Of selection and training together; None where one of the two is not known."""
        if self.flops is None or self.selection_flops is None:
            return None
        return self.flops + self.selection_flops


def costs(run: RunResult) -> dict[str, Cost]:
    """Stage -> what it cost, in chain order; a panel's raters are one stage, `rate`."""
    found = {}
    for stage in STAGES:
        parts = [result for name, result in run.stages.items() if name.partition(".")[0] == stage]
        if parts:
            found[stage] = _of_stage(run, stage, parts)
    return found


def spent(run: RunResult) -> Spent:
    """The run's costs taken together."""
    by_stage = costs(run)
    training = by_stage.pop("finetune", None)
    rating = by_stage.get("rate")
    samples = subset_size(run.stages["select"].path) if "select" in run.stages else None
    responses = None
    if training is not None:
        metrics = adapter.read_metrics(run.stages["finetune"].path)
        samples, responses = int(metrics["samples"]), int(metrics["trained_tokens"])
    uncounted = tuple(name for name, cost in by_stage.items() if cost.flops is None)
    return Spent(
        samples=samples,
        tokens=None if training is None else training.tokens,
        responses=responses,
        flops=None if training is None else training.flops,
        selection_flops=None if uncounted else sum(cost.flops or 0.0 for cost in by_stage.values()),
        selection_seconds=sum(cost.seconds for cost in by_stage.values() if cost.seconds is not None),
        training_seconds=(training.seconds or 0.0) if training is not None else 0.0,
        dollars=0.0 if rating is None else rating.dollars,
        unknown=tuple(name for name, cost in by_stage.items() if cost.seconds is None),
        uncounted=uncounted,
    )


Size = tuple[float | None, Callable[[float], str]]
"""A mean over runs, None where one of them does not know it, and how a person reads it."""


def sizes_of(runs: Sequence[RunResult]) -> dict[str, Size]:
    """The three things that a budget can be of, as the runs of a row had them."""
    each = [spent(run) for run in runs]
    values: dict[str, tuple[list[Any], Callable[[float], str]]] = {
        "samples": ([cost.samples for cost in each], _counted),
        "tokens trained": ([cost.tokens for cost in each], _counted),
        "FLOPs": ([cost.all_flops for cost in each], lambda value: flops_text(value, 3)),
    }
    return {
        name: (None if None in found or not found else sum(found) / len(found), said)
        for name, (found, said) in values.items()
    }


def _counted(value: float) -> str:
    return f"{value:,.0f}"


def _of_stage(run: RunResult, stage: str, parts: Sequence[StageResult]) -> Cost:
    seconds = sum(float(part.record["wall_seconds"]) for part in parts)
    if stage == "rate":
        return _rating(run, parts, seconds)
    (part,) = parts
    compute = _computed(run, stage, part)
    return Cost(seconds, compute.tokens, compute.flops)


def _computed(run: RunResult, stage: str, part: StageResult) -> Compute:
    """What a stage's record tells, and the configuration where the record cannot."""
    if stage == "finetune":
        return adapter.compute_of(adapter.read_metrics(part.path))
    compute, config = from_block(part.record.get("compute")), run.config
    if stage in WITHOUT_MODEL or (stage == "embed" and isinstance(config.embedder, TfidfEmbedderConfig)):
        compute = NO_MODEL  # also in records of before it was told
    if stage == "embed" and config.embedder.flops is not None:
        return replace(compute, flops=config.embedder.flops)
    asks = stage == "measure" or (stage == "select" and config.selection.borrows)
    if asks and (config.selection.flops is not None or stage == "select"):
        return replace(compute, flops=config.selection.flops)
    return compute


def _rating(run: RunResult, parts: Sequence[StageResult], seconds: float) -> Cost:
    """Of scores that language models gave in this run; of those from elsewhere only what is stated."""
    rater = run.config.rater
    panel = isinstance(rater, PanelRaterConfig)
    raters = {f"rate.{each.name}" if panel else "rate": each for each in raters_of(rater)}
    each = [_rated(raters[part.name], part) for part in parts if part.name in raters]
    tokens, known = [compute.tokens for compute in each], [compute.flops for compute in each]
    dollars = list(rating_costs(run).values())
    served = all(isinstance(rater, LlmRaterConfig) for rater in raters.values())
    operations = None if None in known else float(sum(filter(None, known)))
    return Cost(
        seconds if served else None,
        tokens=None if None in tokens else sum(filter(None, tokens)),
        flops=operations if rater.flops is None else rater.flops,
        dollars=None if None in dollars else float(sum(filter(None, dollars))),
    )


def _rated(rater: RaterConfig, part: StageResult) -> Compute:
    """Of one rater: by the parameters that its configuration states, else by what the record counted."""
    compute = from_block(part.record.get("compute"))
    if rater.flops is not None:
        return replace(compute, flops=rater.flops)
    if not isinstance(rater, LlmRaterConfig):
        return UNKNOWN
    tokens, size = tokens_told(part.record["counts"]), stated_parameters(rater)
    if size is None and rater.backend.served:
        return replace(compute, tokens=tokens, flops=None)
    if size is None:
        return replace(compute, tokens=tokens)
    return replace(compute, tokens=tokens, flops=None if tokens is None else flops.reading(size, tokens))
