"""Experiments that are grids of runs: what is done, how to compute the rest, the table of what came out."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from ds2.artifacts.run import RunResult
from ds2.base.errors import UserError
from ds2.cli import sweep as sweep_command
from ds2.config.compose import artifacts_root
from ds2.config.stages import CHOICES, key_of
from ds2.config.sweep import Sweep, load_sweep
from ds2.report.table import ResultTable
from ds2.report.table_text import Table
from ds2.runs import expected as expected_runs
from ds2.runs import job_files
from ds2.runs.expected import ExpectedRun, State, table_of, tables_of
from experiments.published_cells import PublishedCells
from experiments.result import Options, Result


@dataclass(frozen=True)
class Grid:
    """The runs that a sweep expects, and what became of them."""

    sweep: Sweep
    extra: Sequence[str]
    """What a person added to the sweep."""
    root: Path
    """The folder of the artifact store."""
    expected: list[ExpectedRun]

    @property
    def complete(self) -> bool:
        return all(each.state is State.done for each in self.expected)

    @property
    def runs(self) -> list[RunResult]:
        """Those that are evaluated."""
        return [each.run for each in self.expected if each.run is not None and "evaluate" in each.run.stages]

    @property
    def command(self) -> str:
        """What computes the missing runs, and nothing else."""
        return shlex.join(["ds2", f"sweep={self.sweep.name}", *self.extra])

    def lines(self) -> list[str]:
        """Counts, reasons, and what to do next."""
        lines = [
            f"sweep {self.sweep.name}: {expected_runs.count(self.expected)}",
            *expected_runs.explain(self.expected),
        ]
        lines += [
            f"{path} is damaged and was not read; delete it" for path in job_files.ledger(self.root).damaged
        ]
        if any(each.state in (State.missing, State.failed, State.unknown) for each in self.expected):
            lines.append(f"to compute what is missing: {self.command}")
        return lines

    def table(
        self, published: PublishedCells | None = None, only: Callable[[ExpectedRun], bool] = lambda each: True
    ) -> ResultTable:
        """The table of these runs, or of some of them."""
        chosen = [each for each in self.expected if only(each)]
        printed = None if published is None else published.values
        return table_of(chosen, baselines=self.sweep.baselines, published=printed)

    def tables(self) -> dict[str, ResultTable]:
        """The table of each recipe of fine-tuning; one, of no name, where the sweep has no recipes."""
        return tables_of(self.sweep.recipes, self.expected, baselines=self.sweep.baselines)

    def states(self) -> Table:
        """How many runs of each row are done, running, failed and missing."""
        counts: dict[tuple[object, ...], dict[str, int]] = {}
        for each in self.expected:
            row = counts.setdefault(key_of(each.config), {state.value: 0 for state in State})
            row[each.state.value] += 1
        frame = pd.DataFrame([dict(zip(CHOICES, key, strict=True)) | row for key, row in counts.items()])
        return Table("states", frame.loc[:, frame.astype(bool).any()])


def look(name: str, options: Options, *, only_asks: bool = False) -> Grid:
    """The grid of a sweep as it stands; with `options.launch`, after its missing runs were made.

    Args:
        only_asks: make no store where there is none, at the cost of composing the runs anew the next time.

    Raises:
        UserError: an unknown sweep, or choices that contradict each other.
    """
    sweep = load_sweep(name, options.overrides)
    if sweep.search is not None:
        raise UserError(f"{name} is a search, not a grid: ds2 sweep={name} plan=true says where it stands")
    root = artifacts_root(sweep.runs(options.overrides)[0])
    remembers = root.is_dir() or not only_asks
    expected = expected_runs.look(sweep.runs(options.overrides), root, remembers=remembers)
    if options.launch:
        expected_runs.check_cells(sweep.recipes, expected)
        wanted = [each for each in expected if each.state is not State.done and each.to_launch]
        if wanted:
            sweep_command.launch(sweep, options.overrides, wanted, root)
            expected = sweep_command.look(sweep, options.overrides, root)
    return Grid(sweep, list(options.overrides), root, expected)


def _of_model(model: str, each: ExpectedRun) -> bool:
    return each.config.model.name == model


def sweep_name(name: str, options: Options, *, mini: str | None) -> str:
    """The sweep of an experiment. Raises UserError where it has no miniature."""
    if options.mini and mini is None:
        raise UserError(f"{name} has no miniature; leave --mini out")
    return mini if options.mini and mini is not None else name


def result(
    grid: Grid,
    *,
    caption: str,
    published: PublishedCells | None = None,
    name: str,
) -> Result:
    """The usual answer of a grid: one table for each base model, or for each recipe."""
    if grid.sweep.recipes:
        return _of_recipes(grid, caption)
    models = dict.fromkeys(each.config.model.name for each in grid.expected)
    tables, notes = [], []
    for model in models:
        results = grid.table(published, partial(_of_model, model))
        title = f"Base model {model}" if len(models) > 1 else ""
        tables.append(results.table(f"{name}_{model}" if len(models) > 1 else name, title))
        notes += results.notes()
    notes += sweep_command.notes_of(grid.sweep, grid.expected)
    if published is not None:
        notes += published.notes()
    return Result(
        grid.sweep.title or name,
        caption,
        tables,
        notes=[*dict.fromkeys(notes), *grid.lines()],
        complete=grid.complete,
    )


def _of_recipes(grid: Grid, caption: str) -> Result:
    tables, notes = sweep_command.recipe_tables(grid.sweep, grid.expected)
    notes += [*sweep_command.notes_of(grid.sweep, grid.expected), *grid.lines()]
    return Result(grid.sweep.title or grid.sweep.name, caption, tables, notes=notes, complete=grid.complete)
