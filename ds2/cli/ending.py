"""What a command says when its runs have ended: what came of each, where it is, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from ds2.artifacts import page, subset
from ds2.artifacts.evaluation import Evaluation
from ds2.artifacts.run import RunResult
from ds2.artifacts.step import StageResult
from ds2.artifacts.subset_text import length_in_words
from ds2.base.errors import DamagedArtifact
from ds2.base.paths import shown
from ds2.base.words import NOTHING, duration, number_of, size
from ds2.cli import console
from ds2.config.command_line import as_typed
from ds2.config.compose import compose
from ds2.config.pool import MiniPoolConfig
from ds2.config.run import RunConfig
from ds2.config.selection import ExportForm
from ds2.config.stages import counts_tokens
from ds2.config.training import MiniModelConfig
from ds2.report import facts
from ds2.report.people import people_say
from ds2.runs.job_files import Job

_SOURCES_SHOWN = 4
_MINIATURE = "mini"
"""The recipe and the evaluation that stand where none is chosen."""
_UNTRAINED = ("finetune=none", "finetune.enabled=false")
"""What kept a run from training."""
_COLOURS = {"done": "green", "running": "yellow"}


def show(run: RunResult, given: Sequence[str], *, brief: bool) -> None:
    """The evaluation's table, the verdict, and where to look; of one run of several, only the average."""
    evaluation = run.stages.get("evaluate")
    if brief:
        if evaluation:
            console.line(f"  average {_average(Evaluation.read(evaluation.path))}")
        return
    if evaluation:
        console.show(evaluation_table(evaluation))
    verdict = facts.verdict(run)
    if verdict is not None:
        console.line(verdict)
    for said in people_say([run.config]):
        console.line(said)
    made = facts.subset_report(run)
    if made is not None and made.length is not None:
        console.line(length_in_words(made.length))
    if "select" in run.stages:
        file = subset.conversations(run.stages["select"].path)
        console.line(f"subset: {shown(file)}  ({size(file.stat().st_size)}; {_composition(run)})")
    if "export" in run.stages:
        exports = run.stages["export"]
        console.line(f"exports: {shown(exports.path)}  ({', '.join(exports.record['counts'])})")
    if "report" in run.stages:
        console.line(f"report: {shown(page.html(run.stages['report'].path))}")
    after = next_command(run.config, given, run)
    if after:
        console.line(f"next: {after}")
    if after and "select" in run.stages and "export" not in run.stages:
        forms = "|".join(form.value for form in ExportForm)
        console.line(f"or:   ds2 export {shlex.quote(shown(run.stages['select'].path))} --to {forms}")


def _composition(run: RunResult) -> str:
    """`20 of 240 samples: web 12, books 8`."""
    text = f"{_chosen(run)} samples"
    origin = facts.sources(run, most=_SOURCES_SHOWN + 1)
    if origin is None or len(origin.labels) < 2:
        return text
    parts = zip(origin.labels, origin.subset, strict=True)
    return f"{text}: {', '.join(f'{label} {count:,}' for label, count in parts if count)}"


def next_command(config: RunConfig, given: Sequence[str], run: RunResult) -> str | None:
    """What goes on from here; None where the chain is whole."""
    if "finetune" in run.stages or config.selection.strategy == "base":
        return None
    given = [o for o in given if not o.startswith("until=")]
    if "select" not in run.stages:
        return _command([*given, "until=select"])
    given = [o for o in given if o not in _UNTRAINED]
    return _command([*given, *_left_to_choose(compose(given), given)])


def _command(overrides: Sequence[str]) -> str:
    return shlex.join(["ds2", *map(as_typed, overrides)])


def _left_to_choose(config: RunConfig, given: Sequence[str]) -> list[str]:
    """Base model, recipe and evaluation, where nobody chose one and the miniature's would train on a pool
    that they are not for. None where the selection counted with them: with others it would be another one.
    """
    if isinstance(config.pool, MiniPoolConfig) or counts_tokens(config):
        return []
    model, finetune, evaluation = config.model, config.finetune, config.eval
    left = {
        "model": (isinstance(model, MiniModelConfig), ["model=local", "model.path=FOLDER"]),
        "finetune": (finetune.name == _MINIATURE or not finetune.enabled, ["finetune=paper"]),
        "eval": (evaluation.name == _MINIATURE, ["eval=none"]),
    }
    # `eval.data_...` says where the questions are that the pool is compared with
    typed = [o for o in given if not o.startswith("eval.data_")]
    return [
        each
        for group, (default, advice) in left.items()
        if default and not any(o.startswith((f"{group}=", f"{group}.")) for o in typed)
        for each in advice
    ]


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


def _chosen(run: RunResult) -> str:
    """`20 of 240`. Raises DamagedArtifact where the record does not say it."""
    stage = run.stages["select"]
    chosen, pool = (stage.record["counts"].get(name) for name in ("selected", "pool"))
    if not (isinstance(chosen, int) and isinstance(pool, int)):
        raise DamagedArtifact(
            f"{stage.record_file} says not how many were chosen; delete {stage.path} and run again"
        )
    return f"{chosen:,} of {pool:,}"


def came_to(run: RunResult) -> tuple[str, str]:
    """What the table of several runs says of one: its result in a few words, and where it is."""
    last = list(run.stages.values())[-1]
    where = page.html(last.path) if last.name == "report" else last.path
    if "select" in run.stages:
        where = subset.conversations(run.stages["select"].path) if "evaluate" not in run.stages else where
    if "evaluate" in run.stages:
        return f"average {_average(Evaluation.read(run.stages['evaluate'].path))}", str(where)
    if "select" in run.stages:
        return f"{_chosen(run)} selected", str(where)
    return "", str(where)


def _last_attempts(jobs: Sequence[Job]) -> list[Job]:
    """Without attempts that were made again: a launcher (Ray) may start a run anew whose process died."""
    last: dict[tuple[str, ...], Job] = {}
    for job in sorted(jobs, key=lambda job: job.started):
        last[tuple(job.overrides)] = job
    return [job for job in jobs if job.state not in ("died", "running") or last[tuple(job.overrides)] is job]


def summary(jobs: Sequence[Job], *, expected: int, many: bool) -> int:
    """Says what became of the runs of a command; the exit code."""
    if not jobs:
        console.error("no run left a record of itself: what was asked for was not done")
        return 1
    jobs = _last_attempts(jobs)
    failed = [job for job in jobs if job.state != "done"]
    if many:
        labels = _labels(jobs)
        console.show(_table(jobs, labels))
        console.line(f"{len(jobs) - len(failed)} of {number_of(max(expected, len(jobs)), 'run')} done")
        for job, label in zip(jobs, labels, strict=True):
            for line in (job.reason or "its process died").splitlines() if job in failed else ():
                console.error(f"{label}: {line}")
        return 1 if failed or len(jobs) < expected else 0
    for job in failed:
        for line in (job.reason or "its process died").splitlines():
            console.error(line)
    return 0 if not failed else 2 if failed[0].state == "refused" else 1


def _labels(jobs: Sequence[Job]) -> list[str]:
    """What tells each run from the others."""
    common = set.intersection(*(set(job.overrides) for job in jobs)) if len(jobs) > 1 else set()
    return [" ".join(o for o in job.overrides if o not in common) or " ".join(job.overrides) for job in jobs]


def _table(jobs: Sequence[Job], labels: Sequence[str]) -> Table:
    table = Table("run", "state", "result", title_justify="left")
    table.add_column("time", justify="right")
    table.add_column("path")
    for job, label in zip(jobs, labels, strict=True):
        colour = _COLOURS.get(job.state, "red")
        where = shown(job.path) if job.path else NOTHING
        cells = escape(label), f"[{colour}]{job.state}[/]", escape(job.result or NOTHING)
        table.add_row(*cells, duration(job.seconds), escape(where))
    return table
