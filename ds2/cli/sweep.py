"""`ds2 sweep=NAME`: run what is not done yet, then the table of all that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ds2.artifacts import page as page_artifact
from ds2.artifacts.store import open_store
from ds2.base.errors import UserError
from ds2.base.paths import shown, writing
from ds2.base.words import number_of
from ds2.cli import console, ending
from ds2.cli.app import launch as launch_by_hydra
from ds2.cli.app import plan, preflight
from ds2.cli.search import run_search
from ds2.config.command_line import CommandLine
from ds2.config.compose import admit, artifacts_root
from ds2.config.stages import key_of
from ds2.config.sweep import Sweep, load_sweep
from ds2.report import recipes, render_many
from ds2.report.people import people_say
from ds2.report.table_text import LEGEND, Table, markdown, rich
from ds2.runs import expected as expected_runs
from ds2.runs import jobs
from ds2.runs.expected import ExpectedRun, table_of

READ = ("rate", "curate", "select", "finetune")
"""Stages whose files the page reads, besides the evaluations, which are verified where they are found."""


def run_sweep(command: CommandLine) -> int:
    """The command; its exit code.

    Raises:
        UserError: an unknown sweep, or choices that contradict each other.
    """
    extra = command.overrides
    if command.options:
        raise UserError(f"sweep={command.sweep} takes no {command.options[0]}")
    admit(extra)
    sweep = load_sweep(str(command.sweep), extra)
    if sweep.search is not None:
        return run_search(sweep, command)
    root = artifacts_root(sweep.runs(extra)[0])
    for line in sweep.narrowed(extra):
        console.line(line)
    expected = look(sweep, extra, root)
    expected_runs.check_cells(sweep.recipes, expected)
    wanted = expected if _only_asks(expected) else [each for each in expected if each.to_launch]
    if len(wanted) < len(expected):
        console.line(f"{len(expected) - len(wanted)} of {number_of(len(expected), 'run')} need nothing")
    code = _start(sweep, command, wanted, root, some_done=len(wanted) < len(expected))
    if _only_asks(expected):
        return code
    show(sweep, look(sweep, extra, root), root)
    return code


def _start(
    sweep: Sweep, command: CommandLine, wanted: Sequence[ExpectedRun], root: Path, *, some_done: bool
) -> int:
    """Launch what can start; the exit code. Raises UserError where nothing can and nothing is done."""
    overrides, configs = [each.overrides for each in wanted], [each.config for each in wanted]
    if configs and all(config.plan for config in configs):
        return plan(configs)
    try:
        preflight(overrides, configs, fail_fast=command.fail_fast)
    except UserError as error:
        if not some_done:
            raise
        for line in error.lines:
            console.error(line)
        return 2
    return launch(sweep, command.overrides, wanted, root, fail_fast=command.fail_fast)


def look(sweep: Sweep, extra: Sequence[str], root: Path) -> list[ExpectedRun]:
    """What became of each run of the sweep."""
    return expected_runs.look(sweep.runs(extra), root)


def launch(
    sweep: Sweep, extra: Sequence[str], wanted: Sequence[ExpectedRun], root: Path, *, fail_fast: bool = False
) -> int:
    """Run these with Hydra's launcher; one that fails does not stop the others. The exit code."""
    if not wanted:
        return 0
    with jobs.recorded(root) as record:
        for arguments in sweep.multiruns(extra, [each.overrides for each in wanted]):
            launch_by_hydra(arguments, record, CommandLine(fail_fast=fail_fast))
    return ending.summary(record.read(), expected=len(wanted), many=True)


def show(sweep: Sweep, expected: Sequence[ExpectedRun], root: Path) -> None:
    """Print the table of what is done and write it, with the page that compares the runs, below
    `sweeps/NAME`.
    """
    for line in [expected_runs.count(expected), *expected_runs.explain(expected)]:
        console.line(line)
    runs = [each.run for each in expected if each.run is not None and "evaluate" in each.run.stages]
    if not runs:
        return
    if sweep.recipes:
        _show_recipes(sweep, expected, root)
        return
    results = table_of(expected, baselines=sweep.baselines)
    table = results.table("table", sweep.title or sweep.name)
    notes = [*results.notes(), *([LEGEND] if table.marks else []), *notes_of(sweep, expected)]
    console.show(rich(table))
    for line in notes:
        console.line(line)
    page = write_page([(sweep, expected)], root)
    with writing(page.parent):
        (page.parent / "table.md").write_text(markdown(table), encoding="utf-8")
        results.frame().to_csv(page.parent / "runs.csv", index=False)
    console.line(f"table: {shown(page.parent / 'table.md')}\nreport: {shown(page)}")


def _show_recipes(sweep: Sweep, expected: Sequence[ExpectedRun], root: Path) -> None:
    """Print a table for each recipe, and how often the order of methods flips between them; write all below
    `sweeps/NAME`.
    """
    drawn, lines = recipe_tables(sweep, expected)
    lines = [*lines, *([LEGEND] if any(table.marks for table in drawn) else []), *notes_of(sweep, expected)]
    for table in drawn:
        console.show(rich(table))
    for line in lines:
        console.line(line)
    parts = [
        part
        for table in drawn
        for part in ([f"**{table.caption}**"] if table.caption else []) + [markdown(table)]
    ]
    tables = expected_runs.tables_of(sweep.recipes, expected, baselines=sweep.baselines)
    folder = root / "sweeps" / sweep.name
    with writing(folder):
        (folder / "table.md").write_text("\n\n".join([*parts, *lines]) + "\n", encoding="utf-8")
        recipes.joined({recipe: table.frame() for recipe, table in tables.items()}).to_csv(
            folder / "runs.csv", index=False
        )
    console.line(f"table: {shown(folder / 'table.md')}")


def recipe_tables(sweep: Sweep, expected: Sequence[ExpectedRun]) -> tuple[list[Table], list[str]]:
    """A table of each recipe as far as its runs are done, and one of how the order of methods holds between
    them; how to read them.
    """
    tables = expected_runs.tables_of(sweep.recipes, expected, baselines=sweep.baselines)
    pairs = recipes.pairs_of(list(tables.values()))
    drawn = [table.table(f"recipe_{n}", recipe) for n, (recipe, table) in enumerate(tables.items(), 1)]
    notes = dict.fromkeys(note for table in tables.values() for note in table.notes())
    if not pairs:
        return drawn, list(notes)
    return [*drawn, recipes.pairs_table(pairs)], [recipes.verdict(pairs), *notes]


def write_page(sweeps: Sequence[tuple[Sweep, Sequence[ExpectedRun]]], root: Path) -> Path:
    """Write the page that compares the runs of these sweeps, below `sweeps/`; its path.

    Raises:
        DamagedArtifact: a file that the page reads is not what its record says.
        UserError: no run is evaluated, two sweeps disagree on a cell, or the folder cannot be written to.
    """
    distinct = {(key_of(each.config), each.config.seed, each.run and each.run.fingerprint): each
                for _, expected in sweeps for each in expected}  # fmt: skip
    runs = [each.run for each in distinct.values() if each.run is not None and "evaluate" in each.run.stages]
    names = [sweep.name for sweep, _ in sweeps]
    if not runs:
        raise UserError(f"no run of {', '.join(names)} is finished; to compute: ds2 sweep={names[0]}")
    notes = [line for sweep, expected in sweeps for line in notes_of(sweep, expected)]
    notes += [
        f"{sweep.name}: {expected_runs.count(expected)}"
        for sweep, expected in sweeps
        if len(runs) < len(distinct)
    ]
    baselines = [sweep.baselines for sweep, _ in sweeps]
    if any(other != baselines[0] for other in baselines):
        notes.append("These sweeps compare with different baselines: no differences are shown here.")
        baselines = [{}]
    folder = root / "sweeps" / "-".join(names)
    store = open_store(root)
    for path in dict.fromkeys(
        run.stages[stage].path for run in runs for stage in READ if stage in run.stages
    ):
        store.verify(path)
    page = render_many(
        runs,
        title=" · ".join(sweep.title or sweep.name for sweep, _ in sweeps),
        notes=list(dict.fromkeys(notes)),
        folder=folder,
        table=table_of(list(distinct.values()), baselines=baselines[0]),
    )
    with writing(folder):
        return page_artifact.write_page(folder, page)


def write_pages(sweep: Sweep, expected: Sequence[ExpectedRun], root: Path) -> list[Path]:
    """Write the page of each recipe that has finished runs, below `sweeps/NAME`; their paths. Raises as
    `write_page`.
    """
    paths = []
    for recipe, runs in expected_runs.by_recipe(sweep.recipes, expected).items():
        if any(each.run is not None and "evaluate" in each.run.stages for each in runs):
            title = f"{sweep.title or sweep.name} · {recipe}"
            folder = recipe.replace("/", "_").replace(" ", "_")
            one = replace(sweep, name=f"{sweep.name}/{folder}", title=title, recipes=[])
            paths.append(write_page([(one, runs)], root))
    return paths or [write_page([(sweep, expected)], root)]


def notes_of(sweep: Sweep, expected: Sequence[ExpectedRun]) -> list[str]:
    """What a reader must know: the sweep's note, what people's ratings say of the paper's method, and what
    was recorded of the base models (a pre-training that reached its cap).
    """
    runs = [each.run for each in expected if each.run is not None and "evaluate" in each.run.stages]
    warnings = [
        line for run in runs if "model" in run.stages for line in run.stages["model"].record["warnings"]
    ]
    said = people_say(each.config for each in expected)
    return [*([sweep.note] if sweep.note else []), *said, *dict.fromkeys(warnings)]


def _only_asks(expected: Sequence[ExpectedRun]) -> bool:
    return any(each.config.plan or each.config.prepare for each in expected)
