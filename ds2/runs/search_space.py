"""What a search would come to ask for, composed before its first trial: a slip in its YAML costs no run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Protocol

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from ds2.base.errors import UserError
from ds2.config import RunConfig
from ds2.config.compose_cache import compose_all
from ds2.config.hydra_errors import explain
from ds2.config.search import Dimension, Direction, Scalar, Search
from ds2.config.stages import stages_of
from ds2.report.answers import AVERAGE

Combination = dict[str, Scalar]


class Overrides(Protocol):
    """Gives the overrides of a combination's run at a rung, of the last where that is None, and `more`."""

    def __call__(
        self, chosen: Mapping[str, Scalar], rung: int | None = None, more: Sequence[str] = ()
    ) -> list[str]: ...


def refuse_impossible(search: Search, of: Overrides, memory: Path) -> None:
    """Raises UserError for a choice, key, rung or confirmation that no configuration has, and for a metric
    that the evaluation does not give: all of them, each a line.
    """
    reasons: dict[str, str] = {}
    places: dict[tuple[str, ...], str] = {}
    for where, asked in _asked(search, of):
        places.setdefault(tuple(asked), where)
    for overrides, where in places.items():
        try:
            config = compose_all([overrides], memory=memory)[0]
        except (UserError, HydraException, OmegaConfBaseException) as error:
            reasons.setdefault(explain(error), where)
        else:
            for part, reason in _wrong_aim(config, search).items():
                reasons.setdefault(reason, part)
    if reasons:
        raise UserError(*(f"search.{where}: {reason}" for reason, where in reasons.items()))


def _wrong_aim(config: RunConfig, search: Search) -> dict[str, str]:
    """Part of the YAML -> why its winner could not be found by these runs, or not judged."""
    lacking = _lacks_metric(config, search.metric)
    if lacking:
        return {f"metric={search.metric}": lacking}
    asked = config.eval
    loss = search.metric in asked.held_out_tasks or (search.metric == AVERAGE and not asked.tasks)
    if loss != (search.direction is Direction.minimize):
        better = "less" if loss else "more"
        return {f"direction={search.direction.value}": f"of {search.metric} {better} is better"}
    return {}


def _lacks_metric(config: RunConfig, metric: str) -> str | None:
    if "evaluate" not in stages_of(config):
        return "no run would be evaluated (eval=none, until=, finetune.enabled=false or the like)"
    asked = config.eval
    averaged = [AVERAGE] if asked.tasks or asked.held_out else []
    given = [*averaged, *asked.tasks, *asked.companions, *asked.held_out_tasks]
    return None if metric in given else f"eval={asked.name} gives {', '.join(given) or 'nothing'}"


def _asked(search: Search, of: Overrides) -> Iterator[tuple[str, list[str]]]:
    """A part of the YAML, and the overrides of a run that it leads to."""
    for rung in range(search.heights):
        yield "rungs", of(search.default, rung)
    for combination in _combinations(search):
        yield "space", of(combination)
    for seed in search.confirm.seeds[:1]:
        yield "confirm", of(search.default, None, [*search.confirm.overrides, f"seed={seed}"])


def _combinations(search: Search) -> Iterator[Combination]:
    """Each choice and end of a range in a combination that makes it, and each key once under every earlier
    choice that asks for it.
    """
    for key, dimension in search.space.items():
        first, *others = _ends(dimension)
        under = _making(search, key)
        yield from (_filled(search, {**earlier, key: first}) for earlier in under)
        yield from (_filled(search, {**under[0], key: value}) for value in others if under)


def _ends(dimension: Dimension) -> list[Scalar]:
    return dimension.choices or [dimension.low, dimension.high]


def _making(search: Search, key: str) -> list[Combination]:
    """The earlier choices under which this one is made."""
    named = _named(search, key)
    under = [dict(zip(named, values, strict=True)) for values in product(*named.values())]
    return [earlier for earlier in under if key in _filled(search, earlier)]


def _named(search: Search, key: str) -> dict[str, list[Scalar]]:
    """Each earlier key on which it hangs whether this choice is made, with the values that count."""
    named: dict[str, dict[Scalar, None]] = {}
    for earlier, values in search.space[key].when.items():
        for name, wanted in {**_named(search, earlier), earlier: values}.items():
            named.setdefault(name, {}).update(dict.fromkeys(wanted))
    return {name: list(values) for name, values in named.items()}


def _filled(search: Search, wanted: Combination) -> Combination:
    """A whole combination around these choices, as near to the default as they allow."""
    chosen: Combination = {}
    for key, dimension in search.space.items():
        if dimension.applies(chosen):
            chosen[key] = wanted[key] if key in wanted else search.default.get(key, _ends(dimension)[0])
    return chosen
