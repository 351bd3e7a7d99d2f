"""What a person types beside `sweep=NAME`, grid by grid: a value that some grid lists narrows, one that none
lists is added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Grid = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Typed:
    """One choice of the command line."""

    override: str
    name: str
    """Its key as typed, with the sign before it."""
    values: Sequence[str]
    swept: bool

    @property
    def key(self) -> str:
        return key_of_override(self.override)


@dataclass(frozen=True)
class Extra:
    """What a person adds to a sweep."""

    typed: Sequence[Typed]
    launcher: Sequence[str]
    """Hydra's own settings: how to launch, nothing of the runs."""

    def axes(self, grid: Grid, grids: Sequence[Grid]) -> dict[str, list[str]]:
        """The grid's axes as these choices leave them, then those that are swept besides."""
        by_key = {each.key: each for each in self.typed}
        axes = {}
        for name, own in grid.items():
            typed = by_key.get(name)
            if typed is None:
                axes[name] = [str(value) for value in own]
            elif typed.values:
                axes[name] = self._kept(typed, grid, grids)
        return axes | {
            each.name: list(each.values) for each in self.typed if each.swept and each.key not in grid
        }

    def fixed(self, grid: Grid) -> list[str]:
        """Those that are no axis of the grid's runs."""
        return [
            each.override
            for each in self.typed
            if not each.swept and (each.key not in grid or not each.values)
        ]

    def lines(self, grids: Sequence[Grid]) -> list[str]:
        """What became of each choice that some grid lists the like of."""
        lines = []
        for typed in self.typed:
            have = [grid for grid in grids if typed.key in grid]
            if not have or not typed.values:
                continue
            new = _in_no_grid(typed, grids)
            old = [value for value in typed.values if value not in new]
            if old:
                stay = sum(bool(self._kept(typed, grid, grids)) for grid in have)
                lines.append(f"{typed.key}={','.join(old)} narrows: {stay} of {len(have)} grids stay")
            if new:
                taking = sum(self._takes_new(typed.key, grid, grids) for grid in have)
                added = f"added to {taking} of the {len(have)} that choose {typed.key}"
                lines.append(f"{typed.key}={','.join(new)} is in no grid: {added}")
        return lines

    def _kept(self, typed: Typed, grid: Grid, grids: Sequence[Grid]) -> list[str]:
        wanted = set(map(_plain, typed.values))
        own = [str(value) for value in grid[typed.key] if _plain(str(value)) in wanted]
        return [*own, *(_in_no_grid(typed, grids) if self._takes_new(typed.key, grid, grids) else [])]

    def _takes_new(self, key: str, grid: Grid, grids: Sequence[Grid]) -> bool:
        """Whether a value that no grid lists fits the grid: not where the grid has settings of its own values
        (`selection.target`), nor a selection where only other grids choose raters, for such a grid is for
        methods that read none.
        """
        said = {each.key for each in self.typed}
        if any(name.startswith(f"{key}.") and name not in said for name in grid):
            return False
        return key != "selection" or "rater" in grid or not any("rater" in other for other in grids)


def read_extra(extra: Sequence[str]) -> Extra:
    """The choices of a command line."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser, typed = OverridesParser.create(), []
    for override in (o for o in extra if not launches(o)):
        parsed = parser.parse_override(override)
        swept = parsed.is_discrete_sweep()
        alone = [override.partition("=")[2]] if "=" in override else []  # `~key` takes a key away
        values = list(parsed.sweep_string_iterator()) if swept else alone
        typed.append(Typed(override, parsed.get_key_element(), values, swept))
    return Extra(typed, [o for o in extra if launches(o)])


def launches(override: str) -> bool:
    """Whether it is one of Hydra's own settings, which are no part of a run; where YAML is found is one."""
    setting = override.lstrip("+~")
    return setting.startswith("hydra") and not setting.startswith("hydra.searchpath=")


def key_of_override(override: str) -> str:
    """The key that it is about, without the sign before it."""
    return override.split("=")[0].lstrip("+~")


def _in_no_grid(typed: Typed, grids: Sequence[Grid]) -> list[str]:
    listed = {_plain(str(value)) for grid in grids for value in grid.get(typed.key, [])}
    return [value for value in typed.values if _plain(value) not in listed]


def _plain(value: str) -> str:
    """A value however it is written: YAML's 0.0005 is a person's 5e-4, its True their true."""
    text = value.replace(" ", "").strip("'\"")
    try:
        return repr(float(text))
    except ValueError:
        return text.lower() if text.lower() in ("true", "false") else text
