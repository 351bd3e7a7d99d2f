"""A search for good choices: `search:` of a sweep's YAML (`conf/sweep/NAME.yaml`).

In place of every cell of a grid, a sampler proposes one combination after another (a trial), from what the
earlier ones came to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from itertools import pairwise
from typing import Any

from ds2.base.errors import UserError
from ds2.config.budget import BudgetConfig

PREFIX = "search."
"""What the command line sets of a search: `search.trials=40`."""
Scalar = bool | int | float | str | None


class Direction(Enum):
    maximize = "maximize"
    minimize = "minimize"


@dataclass
class Dimension:
    """One choice that is searched: names to choose from, or numbers from `low` to `high`."""

    choices: list[Any] = field(default_factory=list)
    low: Any = None
    """Whole where both ends are."""
    high: Any = None
    log: bool = False
    """Try numbers evenly by their logarithm."""
    when: dict[str, list[Any]] = field(default_factory=dict)
    """Earlier choices under which this one is made at all: `{selection: [ds2_refined]}`."""

    def applies(self, chosen: Mapping[str, Scalar]) -> bool:
        """Whether the choice is made, given the earlier ones."""
        return all(key in chosen and chosen[key] in values for key, values in self.when.items())

    @property
    def whole(self) -> bool:
        return all(isinstance(end, int) and not isinstance(end, bool) for end in (self.low, self.high))


@dataclass
class Confirm:
    """How the winner is judged: it and the default run again where the search did not look."""

    seeds: list[int] = field(default_factory=list)
    overrides: list[str] = field(default_factory=list)
    """Given to these runs besides, `eval.data_seed=1`."""


@dataclass
class Search:
    space: dict[str, Dimension] = field(default_factory=dict)
    """Key of the command line -> what is tried of it."""
    default: dict[str, Any] = field(default_factory=dict)
    """The first trial, with which the winner is compared."""
    metric: str = "average"
    """What decides: a task of the evaluation, or the average."""
    direction: Direction = Direction.maximize
    trials: int = 20
    """Distinct combinations to try."""
    rungs: dict[str, list[Any]] = field(default_factory=dict)
    """What grows while a trial is worth it, the smallest first: `{budget.samples: [100, 200, 400]}`. The last
    is the run that is asked for.
    """
    factor: int = 2
    """One trial in so many goes on from a rung to the next (asynchronous successive halving, arXiv
    1810.05934).
    """
    startup: int = 8
    """Trials drawn at random before the sampler (TPE) learns from them."""
    seed: int = 0
    """Of the sampler; that of the runs is their own."""
    confirm: Confirm = field(default_factory=Confirm)

    @property
    def heights(self) -> int:
        """Number of rungs."""
        return max((len(values) for values in self.rungs.values()), default=1)

    def identity(self) -> dict[str, Any]:
        """What two commands must share to go on with each other's trials: not how many there are, nor how the
        winner is judged.
        """
        from ds2.base.dataclass_json import to_plain

        kept = (f.name for f in fields(self) if f.name not in ("trials", "confirm"))
        return {name: to_plain(getattr(self, name)) for name in kept}

    def with_overrides(self, overrides: Sequence[str]) -> Search:
        """The search with `search.trials=40` and its like. Raises UserError for what is no number of it."""
        changes: dict[str, int] = {}
        for override in overrides:
            name, _, value = override.removeprefix(PREFIX).partition("=")
            if name not in ("trials", "seed", "startup", "factor"):
                raise UserError(f"{override}: the command line sets search.trials, .seed, .startup, .factor")
            if not value.isdecimal():
                raise UserError(f"{override} must be a whole number")
            changes[name] = int(value)
        return replace(self, **changes)  # type: ignore[arg-type]

    def refuse_typed(self, overrides: Sequence[str]) -> None:
        """Raises UserError for a key on the command line that the search itself gives its values."""
        for override in overrides:
            key = override.split("=")[0].lstrip("+~")
            part = "space" if key in self.space else "rungs" if key in self.rungs else None
            if part is not None:
                raise UserError(
                    f"{override}: {key} is what the search tries (search.{part}): leave it out, or change "
                    "the sweep's YAML"
                )

    def check(self, where: str) -> None:
        """Raises UserError for a search that cannot be made, each problem a line of it."""
        lines = [*self._wrong_space(), *self._wrong_default(), *self._wrong_numbers()]
        if lines:
            raise UserError(*(f"{where}: search.{line}" for line in lines))

    def _wrong_space(self) -> list[str]:
        lines = [] if self.space else ["space is empty: there is nothing to search"]
        for key, dimension in self.space.items():
            ranged = dimension.low is not None and dimension.high is not None
            if ranged == bool(dimension.choices):
                lines.append(f"space.{key} takes `choices`, or `low` and `high`")
            elif ranged and not dimension.low < dimension.high:
                lines.append(f"space.{key}: low={dimension.low} must be below high={dimension.high}")
            elif ranged and dimension.log and dimension.low <= 0:
                lines.append(f"space.{key}: log=true needs low above 0, not {dimension.low}")
            earlier = list(self.space)[: list(self.space).index(key)]
            for k, values in dimension.when.items():
                if k not in earlier:
                    lines.append(f"space.{key}.when.{k}: no choice made before it")
                elif not values or not _offers(self.space[k], values):
                    lines.append(
                        f"space.{key}.when.{k}={values}: space.{k} must offer each, and one at least"
                    )
            if key in self.rungs:
                lines.append(f"space.{key} is a rung too: it cannot be both")
        return lines

    def _wrong_default(self) -> list[str]:
        made = {key for key, dimension in self.space.items() if dimension.applies(self.default)}
        lines = [f"default lacks {key}" for key in sorted(made - self.default.keys())]
        return lines + [f"default.{key} is no choice it makes" for key in sorted(self.default.keys() - made)]

    def _wrong_numbers(self) -> list[str]:
        least = {"trials": 1, "factor": 2}
        lines = [
            f"{name}={getattr(self, name)} must be at least {fewest}"
            for name, fewest in least.items()
            if getattr(self, name) < fewest
        ]
        return [*lines, *self._wrong_rungs()]

    def _wrong_rungs(self) -> list[str]:
        if len({len(values) for values in self.rungs.values()}) > 1:
            return ["rungs: each key needs as many values as the others"]
        lines = [
            f"rungs.{key}: {', '.join(map(str, values))} must rise: the smallest first"
            for key, values in self.rungs.items()
            if any(_falls(*pair) for pair in pairwise(values))
        ]
        if any(lower == higher for lower, higher in pairwise(zip(*self.rungs.values(), strict=True))):
            lines.append("rungs: two that follow each other are the same run")
        return lines

    def overrides(self, chosen: Mapping[str, Scalar], rung: int | None = None) -> list[str]:
        """`key=value` of a combination at a rung; None: the last."""
        at = self.heights - 1 if rung is None else rung
        grown = {key: values[at] for key, values in self.rungs.items()}
        return [f"{key}={as_text(value)}" for key, value in {**chosen, **grown}.items()]


def _offers(dimension: Dimension, values: Sequence[Scalar]) -> bool:
    return not dimension.choices or all(value in dimension.choices for value in values)


def _falls(lower: Scalar, higher: Scalar) -> bool:
    """Whether a rung's number is below the one before it; of names nobody knows."""
    before, after = _number(lower), _number(higher)
    return before is not None and after is not None and after < before


def _number(value: Scalar) -> float | None:
    if not isinstance(value, str):
        return None if value is None or isinstance(value, bool) else value
    try:
        return BudgetConfig(samples=1, tokens=value).most_tokens  # `500k`, as budgets are written
    except UserError:
        return None


def as_text(value: Scalar) -> str:
    """A value as the command line takes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
