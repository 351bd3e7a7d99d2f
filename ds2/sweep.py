"""Named grids: `ds2 sweep=NAME` as Hydra multiruns, and the table of what came out.

A grid is never part of a composed configuration (Hydra drops a sweep that is itself swept); it is read here and turned into
the overrides that a person would have typed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ds2 import console, jobs
from ds2.artifacts import RunResult
from ds2.errors import UserError
from ds2.paths import project_root
from ds2.table import ResultTable


@dataclass
class Sweep:
    """`conf/sweep/NAME.yaml`."""

    name: str
    title: str = ""
    note: str = ""
    """What a reader of its table must know; printed beneath it."""
    overrides: list[str] = field(default_factory=list)
    """Given to every run."""
    grids: list[dict[str, list[Any]]] = field(default_factory=list)
    """Several, because methods that read no rater need no row per rater."""

    def multiruns(self, extra: Sequence[str] = ()) -> list[list[str]]:
        """Hydra overrides of each grid; a choice that `extra` names replaces the grid's own."""
        own = {override.split("=")[0].lstrip("+~") for override in extra}
        fixed = [o for o in self.overrides if o.split("=")[0] not in own]
        runs = []
        for grid in self.grids:
            swept = [f"{key}={','.join(map(str, values))}" for key, values in grid.items() if key not in own]
            runs.append([*fixed, *swept, f"tracking.group={self.name}", *extra])
        return runs

    def runs(self) -> list[list[str]]:
        """Overrides of every single run."""
        combinations = []
        for grid in self.grids:
            for values in itertools.product(*grid.values()):
                combinations.append(
                    [*self.overrides, *(f"{k}={v}" for k, v in zip(grid, values, strict=True))]
                )
        return combinations


def load_sweep(name: str) -> Sweep:
    """Raises UserError for an unknown name or an ill-formed file."""
    folder = project_root() / "conf" / "sweep"
    path = folder / f"{name}.yaml"
    if not path.is_file():
        raise UserError(
            f"sweep={name} is unknown; there are: {', '.join(sorted(p.stem for p in folder.glob('*.yaml')))}"
        )
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Sweep(name=name)), OmegaConf.load(path))
        return cast(Sweep, OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        raise UserError(f"{path}: {str(error).splitlines()[0]}") from error


def report_sweep(name: str, done: Sequence[jobs.Job]) -> int:
    """Print the table of a sweep's finished runs and write its report; the exit code."""
    code = console.summary_of_jobs(done)
    runs = [run for job in done if job.state == "done" for run in [_finished(job)] if run is not None]
    if not runs:
        return code
    table = ResultTable(runs)
    folder = Path(runs[0].config.paths.artifacts) / "sweeps" / name
    folder.mkdir(parents=True, exist_ok=True)
    sweep = load_sweep(name)
    console.show(table.rich(title=sweep.title or name))
    notes = [sweep.note] if sweep.note else []
    for line in [*notes, *_model_warnings(runs)]:
        console.line(line)
    (folder / "table.md").write_text(table.markdown(), encoding="utf-8")
    table.frame().to_csv(folder / "runs.csv", index=False)
    _write_report(runs, sweep, folder)
    console.line(f"table: {folder / 'table.md'}\nreport: {folder / 'report.html'}")
    return code


def _finished(job: jobs.Job) -> RunResult | None:
    """The job's run from the store; None for a plan, a preparation, or a run without an evaluation."""
    from ds2.cli import compose
    from ds2.pipeline import Chain

    config = compose(job.overrides)
    if config.plan or config.prepare:
        return None
    run = Chain(config).load()
    return run if run is not None and "evaluate" in run.stages else None


def _model_warnings(runs: Sequence[RunResult]) -> list[str]:
    """What was recorded of the base models, such as a pre-training that reached its cap."""
    lines = [line for run in runs if "model" in run.stages for line in run.stages["model"].record["warnings"]]
    return list(dict.fromkeys(lines))


def _write_report(runs: Sequence[RunResult], sweep: Sweep, folder: Path) -> None:
    from ds2.report import render_many

    notes = [sweep.note] if sweep.note else []
    html = render_many(runs, title=sweep.title or sweep.name, notes=notes, folder=folder)
    (folder / "report.html").write_text(html, encoding="utf-8")
