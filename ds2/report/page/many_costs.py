"""Training and time on the page of many runs."""

from __future__ import annotations

from typing import Any

from ds2.artifacts.run import RunResult
from ds2.config.stages import STAGES
from ds2.report import facts
from ds2.report.page.comparison import Comparison

POINTS = 200
"""Points drawn of one learning curve, at most."""


def curves(compared: Comparison) -> list[dict[str, Any]]:
    """A chart for each stage that trains, a line an artifact."""
    charts = []
    for stage, title in (("finetune", "Fine-tuning"), ("model", "Pre-training of the base model")):
        series = []
        for artifact in compared.artifacts(stage):
            curve = facts.curve(artifact.stage, most=POINTS)
            if curve is not None:
                name = (
                    compared.runs[artifact.runs[0]].name
                    if len(artifact.runs) == 1
                    else artifact.stage.path.name
                )
                loss = [round(value, 4) for value in curve.loss]
                series.append({
                    "name": name, "runs": artifact.runs, "x": curve.step, "y": loss,
                    "records": [compared.records.cite(artifact.stage)],
                })  # fmt: skip
        if series:
            charts.append({
                "id": f"chart-curves-{stage}", "kind": "curves", "title": title, "series": series,
                "xTitle": "optimiser step", "yTitle": "loss",
            })  # fmt: skip
    return charts


def times(compared: Comparison) -> dict[str, Any]:
    """The chart of each run's wall time by stage, as recorded when the stages were computed."""
    rows = [
        {
            "label": run.name, "runs": [i],
            "seconds": _seconds(run),
            "records": {name: compared.records.cite(stage) for name, stage in run.stages.items()},
        }
        for i, run in enumerate(compared.runs)
    ]  # fmt: skip
    order = [name for name in STAGES if any(name in run.stages for run in compared.runs)]
    return {"id": "chart-times", "kind": "times", "rows": rows, "stages": order, "fit": True}


def totals(compared: Comparison) -> list[dict[str, Any]]:
    """What each stage cost over all runs: an artifact that runs share is counted once."""
    stages: list[dict[str, Any]] = []
    for name in STAGES:
        artifacts = compared.artifacts(name, parts=True)
        if artifacts:
            walls = [_wall(artifact.stage) for artifact in artifacts]
            stages.append({
                "name": name, "artifacts": len(artifacts), "runs": sum(len(a.runs) for a in artifacts),
                "total": sum(walls), "longest": max(walls),
                "memory": max(a.stage.record.get("peak_memory_bytes") or 0 for a in artifacts),
                "records": [compared.records.cite(artifact.stage) for artifact in artifacts],
            })  # fmt: skip
    longest = max((total["total"] for total in stages), default=0) or 1
    return [total | {"share": total["total"] / longest} for total in stages]


def _seconds(run: RunResult) -> dict[str, float]:
    """Stage -> wall time; of a panel `rate` has its raters' too."""
    seconds: dict[str, float] = {}
    for name, stage in run.stages.items():
        whole = name.partition(".")[0]
        seconds[whole] = seconds.get(whole, 0.0) + _wall(stage)
    return seconds


def _wall(stage: Any) -> float:
    return float(stage.record.get("wall_seconds") or 0)
