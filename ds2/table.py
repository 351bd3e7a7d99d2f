"""Runs as a table: a row a method, a column a task, mean and standard deviation over seeds.

With one seed the spread is the evaluation's own standard error over questions, and the table says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table

from ds2.artifacts import RunResult
from ds2.selection import chosen

CHOICES = ("model", "budget", "method", "rater")
"""What distinguishes rows; a column with one value wherever it has any is left out."""


class ResultTable:
    """The finished runs of a sweep."""

    def __init__(self, runs: Sequence[RunResult]) -> None:
        self._runs = list(runs)

    def frame(self) -> pd.DataFrame:
        """One row a run and task: the choices, seed, task, value, stderr, n."""
        rows = []
        for run in self._runs:
            content = run.stages["evaluate"].json("results.json")
            own = {**_choices(run), "seed": run.config.seed, "run": run.name, "fingerprint": run.fingerprint}
            for task in content["scores"]:  # a task's own score is its first row; a group's members follow
                result = next(row for row in content["results"] if row["task"] == task)
                rows.append(own | {name: result[name] for name in ("task", "metric", "value", "stderr", "n")})
            rows.append(
                own
                | {"task": "average", "metric": "", "value": content["average"], "stderr": None, "n": None}
            )
        return pd.DataFrame(rows)

    @cached_property
    def _cells(self) -> pd.DataFrame:
        grouped = self.frame().groupby([*CHOICES, "task"], sort=False, dropna=False)
        cells = grouped.agg(
            mean=("value", "mean"), std=("value", "std"), stderr=("stderr", "first"), seeds=("value", "size")
        )
        return cells.reset_index()

    @property
    def several_seeds(self) -> bool:
        """Whether any cell averages over seeds."""
        return bool((self._cells["seeds"] > 1).any())

    def averages(self) -> list[dict[str, Any]]:
        """label, mean and spread (None where unknown) of each row's average over tasks."""
        cells = self._cells[self._cells["task"] == "average"]
        return [
            {
                "label": " · ".join(filter(None, (_label(cell["method"]), _label(cell["rater"])))),
                "mean": float(cell["mean"]),
                "spread": None if pd.isna(cell["std"]) else float(cell["std"]),
            }
            for _, cell in cells.iterrows()
        ]

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """Header and cells as text."""
        cells = self._cells
        shown = [name for name in CHOICES if name == "method" or cells[name].nunique() > 1]
        tasks = list(dict.fromkeys(cells["task"]))
        body = []
        for key, group in cells.groupby(list(CHOICES), sort=False, dropna=False):
            labels = dict(zip(CHOICES, key, strict=True))
            by_task = group.set_index("task")
            values = [_cell(by_task.loc[task]) if task in by_task.index else "missing" for task in tasks]
            seeds = str(int(group["seeds"].max()))
            body.append([*(_label(labels[name]) for name in shown), *values, seeds])
        return [*shown, *tasks, "seeds"], body

    def rich(self, title: str) -> Table:
        """For the terminal."""
        header, body = self.rows()
        note = (
            "mean ± standard deviation over seeds"
            if self.several_seeds
            else "± standard error over questions"
        )
        table = Table(title=f"{title} ({note})", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for name in header:
            choice = name in CHOICES
            table.add_column(name, justify="left" if choice else "right", no_wrap=not choice, overflow="fold")
        for row in body:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """For a README."""
        header, body = self.rows()
        lines = ["| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *body]]
        return "\n".join(lines) + "\n"


def _choices(run: RunResult) -> dict[str, str | None]:
    config, stages = run.config, run.stages
    method = config.selection.name
    if "curate" in stages and method in ("ds2", "ds2_without_diversity"):
        method = f"{method} ({config.curation.method.value})"
    oracle = config.selection.rater is not None
    budgeted = "select" in stages and chosen(config.selection).budgeted(config.selection)
    return {
        "model": config.model.name,
        "budget": f"{config.budget.samples:g}" if budgeted else None,
        "method": method,
        "rater": config.rater.name if "rate" in stages and not oracle else None,
    }


def _label(value: object) -> str:
    return value if isinstance(value, str) else ""


def _cell(cell: pd.Series) -> str:
    spread = cell["std"] if cell["seeds"] > 1 else cell["stderr"]
    value = f"{cell['mean']:.3f}"
    return value if spread is None or pd.isna(spread) else f"{value} ± {spread:.3f}"
