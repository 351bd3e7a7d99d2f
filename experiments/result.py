"""What an experiment is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from ds2 import console

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ds2.config import PathsConfig

BEST, TIED = "best", "tied"
"""Marks of a cell: the best of its column, and what cannot be told apart from the best."""


@dataclass(frozen=True)
class Options:
    """The command line of one experiment."""

    overrides: Sequence[str] = ()
    """Given to every run, as `ds2` takes them."""
    mini: bool = False
    """The experiment in miniature, on a CPU."""
    launch: bool = False
    """Compute the missing runs."""
    say: Callable[[str], None] = console.line
    """Told of progress, a line at a time."""

    @cached_property
    def paths(self) -> PathsConfig:
        """`paths.artifacts`, `paths.data` and `paths.wandb`, as the overrides leave them."""
        from ds2.cli import compose

        return compose([o for o in self.overrides if o.startswith("paths.")]).paths


@dataclass(frozen=True)
class Table:
    """One table: numbers for the CSV, text for every page."""

    name: str
    """File name, without an ending."""
    frame: pd.DataFrame
    """What `NAME.csv` holds, unrounded."""
    caption: str = ""
    formats: Mapping[str, str] = field(default_factory=dict)
    """Column -> format specification (`.2f`, `,`, `.1%`); a column without one is shown as it is."""
    shown: pd.DataFrame | None = None
    """The text of each cell where it is not `frame` formatted (it may have other rows and columns)."""
    marks: Mapping[tuple[int, str], str] = field(default_factory=dict)
    """(row number, column) of `shown` -> BEST or TIED."""

    @cached_property
    def text(self) -> pd.DataFrame:
        """Every cell as text; an empty one where there is no value."""
        if self.shown is not None:
            return self.shown.astype(object)
        columns = {
            name: [_formatted(value, self.formats.get(str(name), "")) for value in self.frame[name]]
            for name in self.frame
        }
        return pd.DataFrame(columns, dtype=object)

    def numeric(self, column: str) -> bool:
        """Whether a column is aligned to the right."""
        return column in self.frame and pd.api.types.is_numeric_dtype(self.frame[column])


@dataclass(frozen=True)
class Result:
    """An experiment's answer."""

    title: str
    caption: str
    """What it shows, of what, and what it must not be taken for."""
    tables: Sequence[Table] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)
    """File name without an ending -> figure; written as SVG and PNG."""
    notes: Sequence[str] = ()
    """Further lines that a reader needs; printed beneath the tables."""
    complete: bool = True
    """Whether every run it needs is done; `python -m experiments` exits with 1 otherwise."""


def _formatted(value: Any, specification: str) -> str:
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return ""
    return format(value, specification)
