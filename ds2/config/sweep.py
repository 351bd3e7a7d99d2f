"""Named grids: `conf/sweep/NAME.yaml`, expanded to the runs that a person would have typed.

A grid is never part of a composed configuration (Hydra drops a sweep that is itself swept); it is read here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ds2.base.errors import UserError
from ds2.base.yaml_files import check_yaml
from ds2.config.hydra_errors import yaml_faults
from ds2.config.narrowing import Extra, key_of_override, launches, read_extra
from ds2.config.plugins import conf_folders, search_folders
from ds2.config.search import PREFIX, Search

Values = tuple[tuple[str, str], ...]
"""Choices of one run: (key, value), in the grid's order."""


@dataclass
class Sweep:
    """`conf/sweep/NAME.yaml`."""

    name: str
    title: str = ""
    note: str = ""
    """What a reader of its table must know; printed beneath it."""
    baselines: dict[str, str] = field(default_factory=lambda: {"*": "random"})
    """Method -> the method that its difference is measured to, of the same rater where it has one; `*`: any
    other method.
    """
    overrides: list[str] = field(default_factory=list)
    """Given to every run."""
    grids: list[dict[str, list[Any]]] = field(default_factory=list)
    """Several, because methods that read no rater need no row per rater."""
    recipes: list[str] = field(default_factory=list)
    """Keys of its grids whose values are recipes of fine-tuning: each recipe has a table of its own, and the
    order of methods is compared between them.
    """
    search: Search | None = None
    """In place of grids: choices are proposed one after another (docs/experiments.md)."""

    def runs(self, extra: Sequence[str] = ()) -> list[list[str]]:
        """Overrides of every single run. Of a choice that `extra` names, each grid keeps the values that it
        lists itself and those that no grid lists; `key=a,b` in it is swept. Of a search, the run with which
        the others are compared.

        Raises:
            UserError: no grid lists what is asked for.
        """
        if self.search is not None:
            return [self.run(self.search.overrides(self.search.default), extra)]
        added = read_extra(extra)
        runs = [overrides for grid in self.grids for overrides, _ in self._expanded(grid, added, extra)]
        if self.grids and not runs:
            asked = {key_of_override(o): o for o in extra}
            said = " ".join(o for key, o in asked.items() if any(key in grid for grid in self.grids))
            raise UserError(f"no grid of sweep={self.name} has {said}")
        return runs

    def narrowed(self, extra: Sequence[str]) -> list[str]:
        """A line on each choice of `extra` that changes its grids."""
        return read_extra(extra).lines(self.grids)

    def run(self, chosen: Sequence[str], extra: Sequence[str] = (), more: Sequence[str] = ()) -> list[str]:
        """Overrides of one run of a search: what the sweep says, what is chosen, what a person adds, `more`;
        of a key that is given twice the later one counts.
        """
        added = [o for o in extra if not o.startswith(PREFIX) and not launches(o)]
        said = [*self._fixed(extra), *chosen, *added, *more]
        return list({key_of_override(override): override for override in said}.values())

    def multiruns(self, extra: Sequence[str], wanted: Iterable[Sequence[str]]) -> list[list[str]]:
        """Arguments of the fewest Hydra multiruns (of this construction) that make exactly the `wanted`
        ones of `runs(extra)`.
        """
        asked = {tuple(overrides) for overrides in wanted}
        commands, added = [], read_extra(extra)
        for grid in self.grids:
            missing = [
                values
                for overrides, values in self._expanded(grid, added, extra)
                if tuple(overrides) in asked
            ]
            for box in _boxes(missing):
                swept = [f"{key}={','.join(values)}" for key, values in box]
                commands.append([*self._fixed(extra), *swept, *added.fixed(grid), *added.launcher])
        return commands

    def _expanded(
        self, grid: dict[str, list[Any]], added: Extra, extra: Sequence[str]
    ) -> list[tuple[list[str], Values]]:
        """Overrides of each run of a grid, with the values of its axes."""
        axes, runs = added.axes(grid, self.grids), []
        for chosen in itertools.product(*axes.values()):
            values = tuple(zip(axes, chosen, strict=True))
            said = [f"{key}={value}" for key, value in values]
            runs.append(([*self._fixed(extra), *said, *added.fixed(grid)], values))
        return runs

    def _fixed(self, extra: Sequence[str]) -> list[str]:
        replaced = {key_of_override(override) for override in extra}
        group = [] if "tracking.group" in replaced else [f"tracking.group={self.name}"]
        varied = [*self.recipes, *(self.search.space if self.search is not None else ())]
        keys = [f"tracking.keys=[{','.join(varied)}]"] if varied and "tracking.keys" not in replaced else []
        return [*(o for o in self.overrides if key_of_override(o) not in replaced), *group, *keys]


def combinations(overrides: Sequence[str]) -> list[list[str]]:
    """Overrides of every single run of a multirun, in their order, without those that say how to launch."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser, columns = OverridesParser.create(), []
    for override in (o for o in overrides if not launches(o)):
        parsed = parser.parse_override(override)
        swept = parsed.is_discrete_sweep()
        key = parsed.get_key_element()
        columns.append([f"{key}={v}" for v in parsed.sweep_string_iterator()] if swept else [override])
    return [list(run) for run in itertools.product(*columns)]


def _boxes(runs: Sequence[Values]) -> list[list[tuple[str, list[str]]]]:
    """Products of values that cover exactly `runs`: those that differ in one key only are joined, key after
    key.
    """
    boxes: list[list[tuple[str, tuple[str, ...]]]] = [[(key, (value,)) for key, value in run] for run in runs]
    for at in range(len(boxes[0]) if boxes else 0):
        joined: dict[Any, list[str]] = {}
        for box in boxes:
            rest = tuple(box[:at] + box[at + 1 :])
            joined.setdefault(rest, []).extend(v for v in box[at][1] if v not in joined.get(rest, []))
        key = boxes[0][at][0]
        boxes = [[*rest[:at], (key, tuple(values)), *rest[at:]] for rest, values in joined.items()]
    return [[(key, list(values)) for key, values in box] for box in boxes]


def load_sweep(name: str, overrides: Sequence[str] = ()) -> Sweep:
    """A sweep of ds2, of a plugin, or of a folder that `hydra.searchpath` names among the overrides
    (`--config-dir` is one).

    Raises:
        UserError: an unknown name, an ill-formed file.
    """
    own = [Path(folder.removeprefix("file://")) for folder in search_folders(overrides)]
    files = {
        file.stem: file
        for folder in [*conf_folders().values(), *own]
        for file in (folder / "sweep").glob("*.yaml")
    }
    if name not in files:
        raise UserError(f"sweep={name} is unknown; there are: {', '.join(sorted(files))}")
    path = files[name]
    try:
        check_yaml(path)
        with yaml_faults(iter(())):
            merged = OmegaConf.merge(OmegaConf.structured(Sweep(name=name)), OmegaConf.load(path))
        sweep = cast(Sweep, OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise UserError(f"{path}: {str(error).splitlines()[0]}") from error
    return _checked(sweep, str(path), overrides)


def _checked(sweep: Sweep, where: str, overrides: Sequence[str]) -> Sweep:
    """The sweep with what the overrides say of its search. Raises UserError for one that cannot be made."""
    keys = {*itertools.chain(*sweep.grids), *map(key_of_override, overrides)}
    for key in sweep.recipes:
        if key not in keys:
            raise UserError(f"{where}: recipes: {key} is a key of none of its grids")
    said = [override for override in overrides if override.startswith(PREFIX)]
    if sweep.search is None:
        if said:
            raise UserError(f"{said[0]}: sweep={sweep.name} is no search")
        return sweep
    if sweep.grids:
        raise UserError(f"{where}: a sweep has grids or a search, not both")
    search = sweep.search.with_overrides(said)
    search.check(where)
    return replace(sweep, search=search)
