"""What the command prints."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ds2.artifacts import page, subset
from ds2.artifacts.evaluation import Evaluation
from ds2.artifacts.run import RunResult
from ds2.artifacts.store import StageResult, Status, Step
from ds2.artifacts.subset_text import length_in_words
from ds2.base.paths import shown
from ds2.base.words import duration, number
from ds2.report import facts
from ds2.report.people import people_say

if TYPE_CHECKING:
    from ds2.runs.chain import Chain, Reporter
    from ds2.runs.jobs import Job

_WIDTH = None if sys.stdout.isatty() else 400
"""A log file has no width: tables are as wide as they need."""
_out = Console(highlight=False, soft_wrap=True, width=_WIDTH)
_COUNTS_SHOWN = 4
"""A line holds so many of a stage's counts; its record holds all."""
_err = Console(stderr=True, highlight=False, soft_wrap=True)


def line(text: str) -> None:
    """One plain line."""
    _out.print(escape(text))


def error(text: str) -> None:
    """One line on standard error, marked."""
    _err.print(f"[bold red]error[/] {escape(' '.join(text.split()))}")


def heading(text: str) -> None:
    _out.print(f"[bold]{escape(text)}[/]")


def reporter(chain: Chain | None = None) -> Reporter:
    """Prints each stage of a run as it ends, with its warnings; `chain`: as wide as its names are."""
    from ds2.runs.chain import Reporter

    wide = 9 if chain is None else _width(chain)
    return Reporter(stage=partial(_stage, wide), waiting=partial(_waiting, wide), warning=warning)


def _width(chain: Chain) -> int:
    """Of the column of stages' names."""
    return max(9, *(len(step.name) + 2 for step in chain.steps))


def _stage(wide: int, result: StageResult) -> None:
    colour = "green" if result.status is Status.computed else "cyan"
    shown = [
        f"{k.replace('_', ' ')} {number(v)}"
        for k, v in result.record["counts"].items()
        if _worth_a_line(k, v)
    ]
    counts = ", ".join(shown[:_COUNTS_SHOWN])
    _out.print(
        f"  {result.name:<{wide}}[{colour}]{result.status.value:<9}[/]{duration(result.seconds):>9}  "
        f"[dim]{result.fingerprint}[/]  {escape(counts)}"
    )
    for text in result.record["warnings"]:
        _out.print(f"           [yellow]warning[/] {escape(text)}")
    sys.stdout.flush()


def _worth_a_line(name: str, value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and "seconds" not in name


def _waiting(wide: int, step: Step) -> None:
    _out.print(f"  {step.name:<{wide}}[yellow]waiting[/]  another run is computing it")


def warning(text: str) -> None:
    """One marked line among a run's."""
    _out.print(f"  [yellow]warning[/] {escape(text)}")


def plan(chain: Chain) -> None:
    """The chain with what is cached and what would be computed."""
    heading(chain.name)
    for rater, reason in chain.lost.items():
        warning(f"the panel goes on without {rater}: {reason}")
    wide = _width(chain)
    for step, path in chain.plan():
        state = f"[cyan]cached[/]   {escape(shown(path))}" if path else "[green]compute[/]"
        _out.print(f"  {step.name:<{wide}}{state}" + ("" if path else f"  [dim]{step.fingerprint}[/]"))
        for text in () if path else step.forecast():
            _out.print(f"           {escape(text)}")


def result(run: RunResult, *, brief: bool) -> None:
    """The evaluation's table and where to look; in a sweep, only the average."""
    evaluation = run.stages.get("evaluate")
    if evaluation and brief:
        _out.print(f"  average {_average(Evaluation.read(evaluation.path))}")
    elif evaluation:
        _out.print(evaluation_table(evaluation))
    if brief:
        return
    verdict = facts.verdict(run)
    if verdict is not None:
        _out.print(escape(verdict))
    for said in people_say([run.config]):
        _out.print(escape(said))
    made = facts.subset_report(run)
    if made is not None and made.length is not None:
        _out.print(f"[dim]{escape(length_in_words(made.length))}[/]")
    for stage, what, file in (("select", "subset", subset.conversations), ("report", "report", page.html)):
        if stage in run.stages:
            _out.print(f"{what}: {escape(shown(file(run.stages[stage].path)))}")


def evaluation_table(evaluation: StageResult) -> Table:
    """Task, metric, value, standard error and number of questions."""
    table = Table("task", "metric", title_justify="left")
    for name in ("value", "stderr", "n"):
        table.add_column(name, justify="right")
    content = Evaluation.read(evaluation.path)
    for row in content.results:
        table.add_row(row.task, row.metric, _share(row.value), _share(row.stderr), str(row.n))
    table.add_row("[bold]average[/]", "", f"[bold]{_average(content)}[/]", "", "")
    return table


def _average(evaluation: Evaluation) -> str:
    return _share(evaluation.average) or "needs every task"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def summary_of_jobs(jobs: Sequence[Job]) -> int:
    """Says which jobs failed, if any did; the exit code."""
    if not jobs:
        error("no run left a record of itself: what was asked for was not done")
        return 1
    failed = [job for job in jobs if job.state != "done"]
    if len(jobs) == 1 and failed and failed[0].state == "refused":
        error(failed[0].reason)
        return 2
    if len(jobs) > 1:
        line(f"{len(jobs) - len(failed)} of {len(jobs)} runs done")
    for job in failed:
        error(f"{' '.join(job.overrides)}: {job.reason or 'its process died'}")
    return 1 if failed else 0


def show(renderable: object) -> None:
    """Print a rich renderable."""
    _out.print(renderable)
