"""What a budget of FLOPs presumes: a training of so many passes, and every stage's operations known.

Stages count what their models do. Of scores and numbers from elsewhere, and of models behind an API, only the
configuration can tell; then what it says is part of what is selected.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from ds2.config.curation import ServerEmbedderConfig
from ds2.config.rating import LlmRaterConfig, RaterConfig, raters_of
from ds2.config.run import RunConfig

_FREE = "(0: it counts as free)"


def compute_problems(config: RunConfig, stages: Collection[str]) -> Iterator[str]:
    """Why `budget.flops` cannot be counted in a run of these stages, a line each."""
    if config.budget.flops is None or not config.selection.budgeted or "select" not in stages:
        return
    if config.budget.tokens is not None:
        yield "budget.tokens and budget.flops are two budgets: leave one out"
    if config.finetune.max_steps is not None:
        yield (
            "budget.flops pays for passes over the subset, and finetune.max_steps fixes how long training is "
            "whatever is selected: finetune.max_steps=null finetune.epochs=E"
        )
    if "rate" in stages and config.rater.flops is None:
        yield from (line for rater in raters_of(config.rater) for line in _of_rater(rater))
    embedder = config.embedder
    served = isinstance(embedder, ServerEmbedderConfig) or embedder.implementation is not None
    if "embed" in stages and served and embedder.flops is None:
        yield f"budget.flops: nothing tells what embedder={embedder.name} takes: give embedder.flops= {_FREE}"
    if config.selection.borrows and config.selection.flops is None:
        yield (
            f"budget.flops: nothing tells what the numbers took that selection={config.selection.name} goes "
            f"by: give selection.flops= {_FREE}"
        )


def _of_rater(rater: RaterConfig) -> Iterator[str]:
    if rater.flops is not None:
        return
    if not isinstance(rater, LlmRaterConfig):
        yield (
            f"budget.flops: nothing tells what the scores of rater={rater.name} took: give rater.flops= "
            f"{_FREE}"
        )
    elif rater.backend.served and rater.params_b is None:
        yield (
            f"budget.flops: nothing tells how large the model of rater={rater.name} is: give "
            f"rater.params_b=, billions of parameters, or rater.flops= {_FREE}"
        )


def stated_costs(config: RunConfig, stages: Collection[str]) -> dict[str, Any]:
    """What the configuration says of costs, where a budget of FLOPs counts it: identity of the choice."""
    said: dict[str, Any] = {"selection": config.selection.flops}
    if "embed" in stages:
        said["embedder"] = config.embedder.flops
    if "rate" in stages:
        said["rater"] = config.rater.flops
        for rater in raters_of(config.rater):
            said[f"rater.{rater.name}"] = rater.flops
            if isinstance(rater, LlmRaterConfig):
                said[f"params_b.{rater.name}"] = rater.params_b
    return {name: value for name, value in said.items() if value is not None}
