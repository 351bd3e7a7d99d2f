"""What a run cost, stage by stage: seconds, tokens, operations, dollars.

Seconds are the wall time in the record, of the machine that computed the stage, also where the run reused it.
Training counts as 6 N D operations: N parameters of the base model, D tokens in all passes
(`ds2.models.flops`). What no record
tells is None and never 0: scores that came with the pool cost somebody something, and the operations of
embedding, of the graph and of a language model's reading are not counted anywhere. Making the base model and
evaluating are no cost of a choice and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ds2.artifacts import adapter
from ds2.artifacts.run import RunResult
from ds2.artifacts.store import StageResult
from ds2.artifacts.subset import subset_size
from ds2.config import LlmRaterConfig
from ds2.config.rating import raters_of
from ds2.models import flops
from ds2.report.panel_facts import rating_costs

STAGES = ("sift", "rate", "embed", "knn", "curate", "measure", "select", "finetune")
"""Those that a choice has to pay for."""


@dataclass(frozen=True)
class Cost:
    """Of one stage; None: not known."""

    seconds: float | None
    tokens: int | None = None
    """Read and written by a language model, or trained on in all passes."""
    flops: float | None = None
    dollars: float | None = None
    """Paid to somebody; a machine of one's own has no price here."""


@dataclass(frozen=True)
class Spent:
    """A run's costs in the three budgets, and what selection took; None: not known, or nothing trained."""

    samples: int | None
    tokens: int | None
    """Trained on, in all passes."""
    responses: int | None
    """Those of them that carry loss."""
    flops: float | None
    """Of training."""
    selection_seconds: float
    """Of the stages before training whose time is known: a lower bound where `unknown` names one."""
    training_seconds: float
    dollars: float | None
    unknown: tuple[str, ...]
    """Stages before training of which no time is known."""


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
    responses = None
    if training is not None:
        responses = int(adapter.read_metrics(run.stages["finetune"].path)["trained_tokens"])
    return Spent(
        samples=subset_size(run.stages["select"].path) if "select" in run.stages else None,
        tokens=None if training is None else training.tokens,
        responses=responses,
        flops=None if training is None else training.flops,
        selection_seconds=sum(cost.seconds for cost in by_stage.values() if cost.seconds is not None),
        training_seconds=(training.seconds or 0.0) if training is not None else 0.0,
        dollars=0.0 if rating is None else rating.dollars,
        unknown=tuple(name for name, cost in by_stage.items() if cost.seconds is None),
    )


def _of_stage(run: RunResult, stage: str, parts: Sequence[StageResult]) -> Cost:
    seconds = sum(float(part.record["wall_seconds"]) for part in parts)
    if stage == "finetune":
        metrics = adapter.read_metrics(parts[0].path)
        base = int(metrics["parameters"]) - int(metrics["trainable_parameters"])
        done = flops.training(base, int(metrics["tokens"]))
        return Cost(seconds, int(metrics["tokens"]), done)
    return _rating(run, parts, seconds) if stage == "rate" else Cost(seconds)


def _rating(run: RunResult, parts: Sequence[StageResult], seconds: float) -> Cost:
    """Of scores that language models gave in this run; of those from elsewhere nothing is known."""
    raters = raters_of(run.config.rater)
    if not all(isinstance(rater, LlmRaterConfig) for rater in raters):
        return Cost(None)
    counts = [part.record["counts"] for part in parts if "prompt_tokens" in part.record["counts"]]
    told = [count[name] for count in counts for name in ("prompt_tokens", "completion_tokens")]
    dollars = list(rating_costs(run).values())
    return Cost(
        seconds,
        tokens=sum(told) if told and None not in told else None,
        dollars=None if None in dollars else float(sum(filter(None, dollars))),
    )
