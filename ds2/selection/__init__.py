"""Selection: one small module a strategy, one signature, chosen by `selection.strategy`.

A strategy module has

    CONFIG                     its configuration dataclass
    NEEDS: frozenset[str]      the stages whose artifacts it always reads beside the pool ("knn", "curate")
    def budgeted(config) -> bool   whether the budget applies
    def seeded(config) -> bool     whether `seed` can change what it chooses
    def choose(request: Request) -> Choice

and, where it has them,

    FILES: tuple[str, ...]     fields that are paths: their content is identity, not their name
    MEASURED: tuple[str, ...]  fields that belong to its measurement
    def measure(config, pool, model, revision, folder, progress) -> (N,) or (N, Q) what stage `measure` keeps for it

and is imported when it is asked for. What a configuration needs further (the stage of its score, the graph of its
near-duplicate filter) is added by `needs`.
"""

from __future__ import annotations

import importlib
from dataclasses import fields
from typing import Any, Protocol, cast

from ds2.config import Score, SelectionConfig
from ds2.errors import UserError
from ds2.plain import to_plain
from ds2.selection.config import (
    MEASURED,
    OPTIONAL,
    FilteredSelectionConfig,
    MeasuredSelectionConfig,
    ScoredSelectionConfig,
)
from ds2.selection.request import Choice, Inputs, Request, check_budget, resolve_budget

__all__ = [
    "STRATEGIES", "Choice", "Inputs", "Request", "Strategy", "check_budget", "chosen", "identity", "measured_fields",
    "measures_with_base_model", "needs", "resolve_budget", "strategy",
]  # fmt: skip

STRATEGIES = (
    "alpagasus", "deita", "ds2", "facility_location", "full", "ifd", "knn", "length", "less", "perplexity", "precomputed", "random",
    "rds_plus",
)  # fmt: skip


class Strategy(Protocol):
    """What a strategy module offers."""

    CONFIG: type[SelectionConfig]
    NEEDS: frozenset[str]

    def budgeted(self, config: SelectionConfig) -> bool:
        """Whether the budget applies."""

    def seeded(self, config: SelectionConfig) -> bool:
        """Whether `seed` can change what it chooses."""

    def choose(self, request: Request) -> Choice:
        """The chosen positions, best first."""


def strategy(name: str) -> Strategy:
    """The module of a strategy. Raises UserError for an unknown name."""
    if name not in STRATEGIES:
        raise UserError(f"selection.strategy={name} is unknown; there are: {', '.join(STRATEGIES)}")
    return cast(Strategy, importlib.import_module(f"ds2.selection.{name}"))


def chosen(config: SelectionConfig) -> Strategy:
    """The strategy of a configuration.

    Raises:
        UserError: an unknown one, or a configuration of another.
    """
    found = strategy(config.strategy)
    if not isinstance(config, found.CONFIG):
        raise UserError(
            f"selection.strategy={config.strategy} takes the fields of {found.CONFIG.__name__}; choose a selection= whose "
            "strategy it is instead of setting selection.strategy"
        )
    return found


def needs(config: SelectionConfig) -> frozenset[str]:
    """The stages whose artifacts this configuration reads directly."""
    stages = set(chosen(config).NEEDS)
    if isinstance(config, ScoredSelectionConfig):
        stages.add("rate" if config.score is Score.given else "curate")
    if isinstance(config, FilteredSelectionConfig) and config.filter.near_duplicates is not None:
        stages |= {"knn", "embed"}
    return frozenset(stages)


def measures_with_base_model(config: SelectionConfig) -> bool:
    """Whether the run's base model is asked before anything is selected."""
    return isinstance(config, MeasuredSelectionConfig) and config.scorer is None


def measured_fields(config: SelectionConfig) -> tuple[str, ...]:
    """Fields of the measurement: identity of stage `measure`, not of `select`."""
    own: tuple[str, ...] = getattr(chosen(config), "MEASURED", ())
    return (*MEASURED, *own) if isinstance(config, MeasuredSelectionConfig) else ()


def identity(config: SelectionConfig, *, budget: float, seed: int) -> dict[str, Any]:
    """What the choice depends on beside the artifacts and files it reads."""
    found, common = chosen(config), {f.name for f in fields(SelectionConfig)}
    own: dict[str, Any] = {"strategy": config.strategy}
    left_out = {*common, *measured_fields(config), *getattr(found, "FILES", ())}
    default = found.CONFIG()
    for name in (f.name for f in fields(found.CONFIG) if f.name not in left_out):
        value = getattr(config, name)
        if name not in OPTIONAL or value != getattr(default, name):
            own[name] = to_plain(value)
    if found.budgeted(config):
        own["budget"] = float(budget)
    if found.seeded(config):
        own["seed"] = seed
    return own
