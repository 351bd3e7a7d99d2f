"""The paper as code.

python -m experiments                                what there is
python -m experiments NAME [overrides]               one table or figure, and what is done of it
    --mini                                           in miniature, on a CPU
    --launch                                         compute the missing runs first
    --out FOLDER                                     instead of artifacts/experiments/NAME
    --plan                                           GPU hours, disk, dollars of the missing runs
    --prepare                                        write the files that its runs read (small_real)
    --export slurm FOLDER                            a job script for each missing run
python -m experiments status SWEEP... [overrides]    runs by state; what computes the rest
python -m experiments costs SWEEP [overrides]        samples, tokens, operations, time and dollars of its runs
python -m experiments report SWEEP... [overrides]    one HTML page that compares the finished runs, or
                                                     one a recipe
python -m experiments dashboard --entity E --project P [--dry]

Overrides are those of `ds2` (seed=42, model=llama_3_1_8b, paths.artifacts=FOLDER). Exit codes: 0, 1 where a
run failed or is missing, 2 where there is something to change in the command.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ds2.base.errors import UserError
from ds2.base.paths import shown
from ds2.base.words import number_of

if TYPE_CHECKING:
    from experiments.result import Options, Result


def main(arguments: Sequence[str]) -> int:
    """The command with these arguments; its exit code."""
    if not arguments or ({"-h", "--help"} & set(arguments) and arguments[0] != "dashboard"):
        print(usage())
        return 0
    from ds2.cli.main import answer

    return answer(lambda: _run(list(arguments)))


def _run(arguments: list[str]) -> int:
    match arguments:
        case ["dashboard", *rest]:
            from experiments.dashboard import main as dashboard

            dashboard(rest)
            return 0
        case ["status", *rest]:
            return _status(*_sweeps("status", rest))
        case ["costs", *rest]:
            return _costs(*_sweeps("costs", rest))
        case ["report", *rest]:
            return _report(*_sweeps("report", rest))
        case [name, *rest]:
            return _experiment(name, rest)
    raise AssertionError("every list of arguments is matched")


def _experiment(name: str, arguments: list[str]) -> int:
    from experiments import experiment
    from experiments.result import Options

    given = _parse(name, arguments)
    _check_options(given)
    if given.plan or given.export:
        return _plan(name, given)
    module = experiment(name)
    if given.prepare:
        return _prepare(name, Options(given.overrides))
    options = Options(given.overrides, mini=given.mini, launch=given.launch)
    result = module.run(options)
    named = f"{name}{'_mini' if given.mini else ''}"
    return _say(result, given.out or Path(options.paths.artifacts) / "experiments" / named)


def _check_options(given: argparse.Namespace) -> None:
    """Raises UserError for options beside one that leaves them without a say."""
    others = [f"--{name}" for name in ("mini", "launch", "out") if getattr(given, name)]
    if given.prepare and (given.plan or given.export):
        raise UserError("--prepare writes files and plans nothing: leave --plan and --export out")
    if others and (given.plan or given.export):
        raise UserError(
            "--plan and --export are for the whole experiment and launch nothing: "
            f"leave {' and '.join(others)} out"
        )
    if others and given.prepare:
        raise UserError(f"--prepare writes files and runs nothing: leave {' and '.join(others)} out")


def _say(result: Result, folder: Path) -> int:
    """Print and write an answer; the exit code."""
    from ds2.cli import console
    from experiments import output

    output.show(result)
    for path in output.write(result, folder):
        console.line(f"written: {shown(path)}")
    return 0 if result.complete else 1


def _prepare(name: str, options: Options) -> int:
    """Write the files that an experiment's runs read."""
    from ds2.cli import console
    from experiments import experiment

    prepare = getattr(experiment(name), "prepare", None)
    if prepare is None:
        raise UserError(f"{name} needs no files of its own; leave --prepare out")
    for line in prepare(options):
        console.line(f"written: {line}")
    return 0


def _plan(name: str, given: argparse.Namespace) -> int:
    """What a node with GPUs needs for the missing runs of a sweep, and the jobs that compute them."""
    from ds2.cli import console
    from experiments import grid, job_scripts, output, plan
    from experiments.result import Options

    if given.export:
        job_scripts.check(*given.export)
    swept = grid.look(name, Options(given.overrides), only_asks=True)
    if given.plan:
        output.show(plan.plan(swept))
    if given.export:
        system, folder = given.export
        written = job_scripts.export(swept, system, folder)
        console.line(f"written: {number_of(len(written), 'job script')} in {shown(Path(folder))}")
    return 0


def _sweeps(command: str, arguments: list[str]) -> tuple[list[str], Options]:
    """Names of sweeps, then overrides."""
    from ds2.config.command_line import as_they_stand
    from experiments.result import Options

    names = [argument for argument in arguments if "=" not in argument]
    if not names or any(name.startswith("-") for name in names):
        raise UserError(f"python -m experiments {command} takes names of sweeps, then key=value")
    return names, Options(as_they_stand([a for a in arguments if a not in names], many=True))


def _status(names: list[str], options: Options) -> int:
    from ds2.cli import console
    from ds2.report.table_text import rich
    from experiments import grid

    grids = [grid.look(name, options) for name in names]
    for each in grids:
        console.heading(each.sweep.title or each.sweep.name)
        console.show(rich(each.states()))
        for line in each.lines():
            console.line(line)
    return 0 if all(each.complete for each in grids) else 1


def _costs(names: list[str], options: Options) -> int:
    from experiments import costs

    if len(names) != 1:
        raise UserError("python -m experiments costs takes one sweep, then key=value")
    return _say(
        costs.run(names[0], options), Path(options.paths.artifacts) / "experiments" / f"costs_{names[0]}"
    )


def _report(names: list[str], options: Options) -> int:
    from ds2.cli import console
    from ds2.cli.sweep import write_page, write_pages
    from experiments import grid

    grids = [grid.look(name, options) for name in names]
    if any(each.sweep.recipes for each in grids) and len(grids) > 1:
        raise UserError("a sweep that compares recipes has a page for each of them: report it alone")
    if grids[0].sweep.recipes:
        paths = write_pages(grids[0].sweep, grids[0].expected, grids[0].root)
    else:
        paths = [write_page([(each.sweep, each.expected) for each in grids], grids[0].root)]
    for each in grids:
        for line in each.lines():
            console.line(line)
    for path in paths:
        console.line(f"written: {shown(path)}")
    return 0


def _parse(name: str, arguments: list[str]) -> argparse.Namespace:
    from ds2.config.command_line import as_they_stand

    parser = argparse.ArgumentParser(prog=f"python -m experiments {name}", add_help=False, allow_abbrev=False)
    parser.add_argument("--mini", action="store_true")
    parser.add_argument("--launch", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--export", nargs=2, metavar=("QUEUE", "FOLDER"))
    given, rest = parser.parse_known_args(arguments)
    if given.out is not None and "=" in given.out.name:
        raise UserError(f"--out takes a folder, not {given.out}")
    if given.export is not None and "=" in Path(given.export[1]).name:
        raise UserError(f"--export takes a queue and a folder, not {given.export[1]}")
    for argument in rest:
        if argument.startswith("-") or "=" not in argument:
            raise UserError(f"{argument} is neither an option of python -m experiments nor key=value")
    given.overrides = as_they_stand(rest, many=True)
    return given


def usage() -> str:
    """The commands and every experiment."""
    from experiments import EXPERIMENTS

    width = max(map(len, EXPERIMENTS))
    lines = [f"    {name:<{width}}  {line}" for name, line in EXPERIMENTS.items()]
    return "\n".join([(__doc__ or "").strip(), "", "experiments", *lines])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
