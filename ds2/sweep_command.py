"""`ds2 sweep=NAME`: run what is not done yet, then the table of all that is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ds2 import cells, cli, console, jobs
from ds2.artifacts import RunResult
from ds2.cells import Cell, State
from ds2.report import render_many
from ds2.sweep import Sweep, load_sweep
from ds2.table import ResultTable
from ds2.tabular import LEGEND, markdown, rich


def run_sweep(name: str, extra: Sequence[str]) -> int:
    """The command; its exit code.

    Raises:
        UserError: an unknown sweep, or choices that contradict each other.
    """
    sweep = load_sweep(name)
    root = cli.artifacts_root([*sweep.overrides, *extra])
    expected = look(sweep, extra, root)
    wanted = expected if _only_asks(expected) else [cell for cell in expected if cell.to_launch]
    if len(wanted) < len(expected):
        console.line(f"{len(expected) - len(wanted)} of {len(expected)} runs need nothing")
    code = launch(sweep, extra, wanted, root)
    if _only_asks(expected):
        return code
    show(sweep, look(sweep, extra, root), root)
    return code


def look(sweep: Sweep, extra: Sequence[str], root: Path) -> list[Cell]:
    """What became of each run of the sweep."""
    return cells.look(sweep.runs(extra), root)


def launch(sweep: Sweep, extra: Sequence[str], wanted: Sequence[Cell], root: Path) -> int:
    """Run these with Hydra's launcher; one that fails does not stop the others. The exit code."""
    with jobs.recorded(root) as record:
        for arguments in sweep.multiruns(extra, [cell.overrides for cell in wanted]):
            cli.hydra_main(["--multirun", *arguments], record)
    return console.summary_of_jobs(record.read())


def table_of(found: Sequence[Cell], **options: Any) -> ResultTable:
    """The table of expected runs; see `ResultTable` for the options."""
    done = [cell.run for cell in found if cell.run is not None and "evaluate" in cell.run.stages]
    states = {State.unknown: State.missing}  # why it cannot be known is said beside the table
    waiting = [(cell.config, states.get(cell.state, cell.state).value) for cell in found if cell.run is None]
    return ResultTable(done, waiting, **options)


def show(sweep: Sweep, found: Sequence[Cell], root: Path) -> None:
    """Print the table of what is done and write it, with the page that compares the runs, below `sweeps/NAME`."""
    for line in [cells.count(found), *cells.explain(found)]:
        console.line(line)
    runs = [cell.run for cell in found if cell.run is not None and "evaluate" in cell.run.stages]
    if not runs:
        return
    results = table_of(found, baselines=sweep.baselines)
    table = results.table("table", sweep.title or sweep.name)
    notes = [*results.notes(), *([LEGEND] if table.marks else []), *notes_of(sweep, runs)]
    console.show(rich(table))
    for line in notes:
        console.line(line)
    folder = root / "sweeps" / sweep.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(markdown(table), encoding="utf-8")
    results.frame().to_csv(folder / "runs.csv", index=False)
    page = render_many(
        runs,
        title=sweep.title or sweep.name,
        notes=notes_of(sweep, runs),
        folder=folder,
        baselines=sweep.baselines,
    )
    (folder / "report.html").write_text(page, encoding="utf-8")
    console.line(f"table: {folder / 'table.md'}\nreport: {folder / 'report.html'}")


def notes_of(sweep: Sweep, runs: Sequence[RunResult]) -> list[str]:
    """What a reader must know: the sweep's note, and what was recorded of the base models (a pre-training that reached its cap)."""
    warnings = [
        line for run in runs if "model" in run.stages for line in run.stages["model"].record["warnings"]
    ]
    return [*([sweep.note] if sweep.note else []), *dict.fromkeys(warnings)]


def _only_asks(expected: Sequence[Cell]) -> bool:
    return any(cell.config.plan or cell.config.prepare for cell in expected)
