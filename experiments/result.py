"""What an experiment is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ds2.cli import console
from ds2.report.table_text import BEST, TIED, Table

__all__ = ["BEST", "TIED", "Options", "Result", "Table"]

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ds2.config import PathsConfig


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
        from ds2.config.compose import paths_of

        return paths_of(self.overrides)


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
