"""The page of many runs: one table, matrices and score distributions side by side, every run with a link to its own report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ds2.artifacts import RunResult
from ds2.report import facts
from ds2.report.page import page
from ds2.table import ResultTable


def render_runs(runs: Sequence[RunResult], *, title: str, notes: Sequence[str], folder: Path | None) -> str:
    """See `ds2.report.render_many`."""
    table = ResultTable(runs)
    header, body = table.rows()
    charts: list[dict[str, Any]] = []
    averages = [row for row in table.averages() if 0 <= row["mean"] <= 1]
    if averages:
        charts.append({
            "id": "chart-average", "kind": "dots", "labels": [row["label"] for row in averages],
            "value": [row["mean"] for row in averages], "error": [row["spread"] or 0 for row in averages],
        })  # fmt: skip
    context = {
        "title": title,
        "notes": [*notes, *_warnings(runs)],
        "header": header,
        "body": body,
        "spread": "standard deviation over seeds" if table.several_seeds else "standard error over questions",
        "average_title": "Mean and standard deviation over seeds" if table.several_seeds else "One seed",
        "count": len(runs),
        "charted": len(averages),
        "curations": _curations(runs, charts),
        "runs": [_row(run, folder) for run in runs],
    }
    return page("many.html", charts=charts, data={}, **context)


def _warnings(runs: Sequence[RunResult]) -> list[str]:
    """Each distinct warning of the base models and evaluations: curation's stand beside its matrix."""
    found = [
        f"{stage}: {text}"
        for run in runs
        for stage, text in facts.warnings(run)
        if stage in ("model", "evaluate")
    ]
    return list(dict.fromkeys(found))


def _curations(runs: Sequence[RunResult], charts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry a rater and method: the estimated matrix, the scores before and after, the warnings; of its first seed."""
    shown: dict[tuple[str, str], dict[str, Any]] = {}
    for run in runs:
        matrix, scores = facts.transition(run), facts.scores(run)
        key = (run.config.rater.name, run.config.curation.method.value)
        if matrix is None or scores is None or scores.curated is None or key in shown:
            continue
        element = f"chart-scores-{len(shown)}"
        charts.append({
            "id": element, "kind": "bars", "x": [str(level) for level in range(len(scores.raw))],
            "series": [{"name": "as rated", "y": scores.raw, "tone": "muted"},
                       {"name": "curated", "y": scores.curated, "tone": "accent"}],
            "xTitle": "score", "yTitle": "samples",
        })  # fmt: skip
        shown[key] = {
            "rater": key[0], "method": key[1], "seed": run.config.seed, "matrix": matrix.matrix, "prior": matrix.prior,
            "chart": element, "changed": scores.changed, "total": scores.total - scores.unrated,
            "warnings": run.stages["curate"].record["warnings"],
        }  # fmt: skip
    return list(shown.values())


def _row(run: RunResult, folder: Path | None) -> dict[str, Any]:
    own, results = run.stages.get("report"), facts.evaluation(run)
    link = None if own is None else own.path / "report.html"
    return {
        "name": run.name,
        "link": None
        if link is None
        else Path(os.path.relpath(link, folder)).as_posix()
        if folder
        else link.as_uri(),
        "selection": run.config.selection.name,
        "rater": run.config.rater.name if "rate" in run.stages else "",
        "seed": run.config.seed,
        "average": None if results is None else results["average"],
        "fingerprint": run.fingerprint,
    }
