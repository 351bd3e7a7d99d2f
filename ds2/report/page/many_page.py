"""The page of many runs. What it shows of a run carries the run's place (`data-runs`, `runs`), so that one
choice of raters, budgets, methods and models acts on table, charts, matrices, samples and list alike; each
number carries its records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ds2.artifacts.evaluation import Evaluation
from ds2.artifacts.page import html
from ds2.artifacts.run import RunResult
from ds2.config.stages import CHOICES, amount
from ds2.report import facts
from ds2.report.answers import AVERAGE
from ds2.report.choices import in_words
from ds2.report.page import many_costs, many_raters
from ds2.report.page.comparison import Comparison
from ds2.report.page.html import page
from ds2.report.page.records import link
from ds2.report.page.samples import samples
from ds2.report.table import ResultTable
from ds2.report.table_rows import Row
from ds2.report.table_text import LEGEND

MOST_SAMPLES = 10_000


def render_runs(
    runs: Sequence[RunResult],
    *,
    title: str,
    notes: Sequence[str],
    folder: Path | None,
    table: ResultTable | None,
) -> str:
    """See `ds2.report.render_many`."""
    compared = Comparison(runs, folder, table)
    rows = _rows(compared)
    cite = compared.records.cite
    subsets = samples(compared.runs, most=MOST_SAMPLES, label=_subset_label(compared), cite=cite)
    curations = many_raters.curations(compared)
    distributions = many_raters.distributions(compared, curations)
    curves = many_costs.curves(compared)
    results = _result_charts(compared, rows)
    times = many_costs.times(compared)
    context = {
        "title": title, "notes": [*notes, *_warnings(compared.runs, notes)],
        "count": len(compared.runs), "facets": compared.facets, "shown": compared.compared,
        "columns": [name for name in CHOICES if name in compared.compared or name == "method"],
        "tasks": _average_first(compared.table.names), "rows": rows, "gaps": any(row["gap"] for row in rows),
        "reading": [*compared.table.notes(), *([LEGEND.capitalize() + "."] if compared.table.marks else [])],
        "results": results, "distributions": distributions, "seeds": many_raters.by_seed(curations),
        "curations": [item for item in curations if item["transitions"]],
        "stages": many_costs.totals(compared), "samples": subsets, "curves": curves,
        "runs": [_run(compared, i) for i in range(len(compared.runs))],
    }  # fmt: skip
    embedded = {
        "choices": compared.choices,
        "facets": compared.compared,
        "records": compared.records.rows,
    }
    data = {} if subsets is None else {"samples": subsets.data}
    charts = [*results, *distributions, *curves, times]
    return page("many.html", charts=charts, data=data, embedded=embedded, **context)


def _average_first(names: Mapping[str, str]) -> dict[str, str]:
    """Task -> column, the average before the others: a phone shows the first columns alone."""
    return {AVERAGE: names[AVERAGE], **names}


def _rows(compared: Comparison) -> list[dict[str, Any]]:
    """The rows of the table: labels, places of the runs, a cell a task, the difference to the baseline."""
    cells = {
        (tuple(None if pd.isna(part) else part for part in line[: len(CHOICES)]), line.task): line
        for line in compared.table.summary().itertuples(index=False)
    }
    rows = []
    for key, row in compared.table.by_key.items():
        labels = in_words(dict(zip(CHOICES, key, strict=True)))
        shown = {task: _cell(compared, cells[key, task], row, task) for task in compared.table.tasks}
        baseline = compared.table.baseline(key)
        other = compared.table.row_of(key, baseline)
        gap = compared.table.differences.get((key, compared.table.tasks[-1]))
        rows.append({
            "labels": labels, "label": compared.label(labels), "cells": shown, "state": row.state,
            "seeds": row.seeds,
            "runs": [i for i, other_key in enumerate(compared.keys) if other_key == key],
            "budget": key[CHOICES.index("budget")],
            "marks": {task: compared.table.marks.get((key, task), "") for task in compared.table.tasks},
            "gap": gap and compared.table.unit(compared.table.tasks[-1]).difference(gap),
            "gap_value": gap and gap.value, "baseline": baseline,
            "gap_records": _evaluations(compared, [row, other]),
        })  # fmt: skip
    return rows


def _evaluations(compared: Comparison, rows: Sequence[Row | None]) -> list[int]:
    """The records of the evaluations of these rows."""
    evaluations = [run.stages["evaluate"] for row in rows if row is not None for run in row.runs.values()]
    return [compared.records.cite(stage) for stage in evaluations]


def _cell(compared: Comparison, cell: Any, row: Row, task: str) -> dict[str, Any] | None:
    """Mean and spread in the task's unit, the value and the record of each seed; None where no run has it."""
    if pd.isna(cell.mean):
        return None
    deviation = cell.std if compared.table.several else cell.stderr  # one sign, one meaning
    spread = None if pd.isna(deviation) else float(deviation)
    values, places, unit = [], [], compared.table.unit(task)
    for (seed, run), answers in zip(row.runs.items(), row.answers.values(), strict=True):
        value = answers.value(task)
        if value is not None:
            values.append(f"seed {seed}: {unit.scale * value:.{unit.digits + 1}f}")
            places.append(compared.records.cite(run.stages["evaluate"]))
    return {
        "text": unit.shown(cell.mean, spread), "mean": float(cell.mean), "spread": spread, "values": values,
        "records": places,
        "title": compared.records.title(places),
    }  # fmt: skip


def _result_charts(compared: Comparison, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The results of each row and, where several budgets are compared, against the budget; one choice of task
    for both.
    """
    tasks = compared.table.tasks
    points = []
    for row in rows:
        known = {task: cell for task, cell in row["cells"].items() if cell is not None}
        values = {task: [cell["mean"], cell["spread"]] for task, cell in known.items()}
        records = sorted({place for cell in known.values() for place in cell["records"]})
        points.append({"label": row["label"], "runs": row["runs"], "values": values, "records": records})
    charts: list[dict[str, Any]] = [
        {"id": "chart-results", "kind": "dots", "points": points, "tasks": tasks, "fit": True, "digits": 2}
    ]
    if "budget" in compared.compared:
        named = tuple(name for name in CHOICES if name != "budget")
        by_budget = [
            point | {"x": amount(row["budget"])[1], "series": compared.label(row["labels"], named)}
            for row, point in zip(rows, points, strict=True)
            if row["budget"] is not None
        ]
        charts.append(
            {
                "id": "chart-budgets",
                "kind": "budgets",
                "points": by_budget,
                "tasks": tasks,
                "fit": True,
                "digits": 2,
            }
        )
    return charts


def _run(compared: Comparison, at: int) -> dict[str, Any]:
    run = compared.runs[at]
    written = run.stages.get("report")
    places = [compared.records.cite(stage) for stage in run.stages.values()]
    return {
        "name": run.name,
        "link": None if written is None else link(html(written.path), compared.folder),
        "choices": compared.choices[at], "seed": run.config.seed, "records": places,
        "average": Evaluation.read(run.stages["evaluate"].path).average,
        "result": compared.records.cite(run.stages["evaluate"]), "title": compared.records.title(places),
    }  # fmt: skip


def _subset_label(compared: Comparison) -> Callable[[RunResult], str]:
    """A name for a run's subset: the choices that differ, and the seed where it decides the subset."""
    names = [compared.label(choice, ("method", "rater", "budget")) for choice in compared.choices]
    subsets: dict[str, set[str]] = {}
    for run, name in zip(compared.runs, names, strict=True):
        if "select" in run.stages:
            subsets.setdefault(name, set()).add(run.stages["select"].fingerprint)
    by_run = {run.fingerprint: name for run, name in zip(compared.runs, names, strict=True)}

    def label(run: RunResult) -> str:
        name = by_run[run.fingerprint]
        return f"{name} · seed {run.config.seed}" if len(subsets[name]) > 1 else name

    return label


def _warnings(runs: Sequence[RunResult], known: Sequence[str]) -> list[str]:
    """Each distinct warning of base models and evaluations beyond those `known`: curation's stand beside its
    matrix.
    """
    warnings = [
        f"{stage}: {text}"
        for run in runs
        for stage, text in facts.warnings(run)
        if stage in ("model", "evaluate") and text not in known
    ]
    return list(dict.fromkeys(warnings))
