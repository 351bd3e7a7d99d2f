"""The panels of the W&B workspace and report, and nothing that talks to W&B.

Every key that a panel reads is logged by `ds2/tracking.py`, whose head lists them. Runs are grouped by what
they chose, so that bars and points are means over seeds and whiskers standard deviations over seeds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from wandb_workspaces import expr

VIEW = "nw-ds2overview-v"
"""Internal name of the workspace: a fixed one, by which a second call finds it."""
TITLE = "DS2: raters, budgets, curation"

CHOICES = ("base_model", "selection", "rater", "budget")
"""Runs that share these differ in their seed only."""
STAGES = ("rate", "embed", "knn", "curate", "select", "finetune", "evaluate")
AVERAGE = wr.SummaryMetric("eval/average")
SECONDS = wr.SummaryMetric("cost/seconds")
DOLLARS = wr.SummaryMetric("cost/usd")
FLOPS = wr.SummaryMetric("cost/flops")


def workspace(entity: str, project: str, tasks: Sequence[str]) -> ws.Workspace:
    """Six sections from results to details; tasks name the benchmarks, as in the tables."""
    built = ws.Workspace(
        entity=entity,
        project=project,
        name=TITLE,
        sections=[
            _section("Raters and budgets", comparison(tasks), columns=2),
            _section("Cost", cost(), columns=2),
            _section("Curation", curation(), columns=2),
            _section("Evaluation", evaluation(tasks), columns=2),
            _section("Training", training(), columns=2),
            _section("Selection", selection(), columns=2),
        ],
        settings=ws.WorkspaceSettings(max_runs=100),
        runset_settings=ws.RunsetSettings(
            groupby=[expr.Config(choice) for choice in CHOICES],
            pinned_columns=[
                *(f"config:{choice}.value" for choice in (*CHOICES, "curation", "seed")),
                *(f"summary:{metric.name}" for metric in (AVERAGE, FLOPS, SECONDS, DOLLARS)),
            ],
        ),
        auto_generate_panels=False,
    )
    built._internal_name = VIEW
    return built


def report(entity: str, project: str, tasks: Sequence[str]) -> wr.Report:
    """The same panels as a page that reads from top to bottom."""
    parts: list[tuple[str, str, list[Any]]] = [
        (
            "Raters and budgets",
            "Mean over seeds; whiskers are standard deviations over seeds, absent with one seed.",
            comparison(tasks),
        ),
        (
            "Cost against average",
            "Seconds are of the whole chain as if nothing had been cached: a sweep pays for each distinct "
            "stage once. "
            "FLOPs are those of selecting and training, left out where a part of them is not known "
            "(docs/budgets.md). Dollars are those of the rater's answers, none where no language model was "
            "asked, and left out where its price is not known.",
            cost(),
        ),
        (
            "Curation",
            "Score transition matrices side by side, a run each: rows are true scores, columns rated ones. "
            "Without ground "
            "truth they are estimates; read the warnings in each run's summary.",
            curation(),
        ),
        ("Evaluation", "Each benchmark by selection.", evaluation(tasks)),
        ("Learning curves", "Loss of the LoRA fine-tunes by optimiser step.", training()),
        ("What was selected", "Sources of the subset beside the pool's.", selection()),
    ]
    blocks: list[Any] = [
        wr.TableOfContents(),
        wr.P(
            "Rate, curate, select, fine-tune, evaluate: each run is one chain of the paper (Improving Data "
            "Efficiency via "
            "Curating LLM-Driven Rating Systems). W&B is the window; tables with intervals and published "
            "numbers come from "
            "the artifacts on disk (python -m experiments)."
        ),
    ]
    for title, text, panels in parts:
        blocks += [wr.H2(title), wr.P(text), wr.PanelGrid(runsets=[_runs(title)], panels=panels)]
    return wr.Report(project=project, entity=entity, title=TITLE, blocks=blocks, width="fluid")


def comparison(tasks: Sequence[str]) -> list[Any]:
    """Raters and budgets against the average."""
    return _placed(
        wr.BarPlot(
            title="Average by rater", metrics=[AVERAGE.name], groupby=wr.Config("rater"),
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev", max_runs_to_show=100,
        ),
        wr.BarPlot(
            title="Average by budget", metrics=[AVERAGE.name], groupby=wr.Config("budget"),
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev", max_runs_to_show=100,
        ),
        wr.BarPlot(
            title="Average by selection", metrics=[AVERAGE.name], groupby=wr.Config("selection"),
            groupby_aggfunc="mean", groupby_rangefunc="stddev", max_runs_to_show=100,
        ),
        wr.ScatterPlot(title="Average against budget", x=wr.Config("budget"), y=AVERAGE, log_x=True),
    )  # fmt: skip


def cost() -> list[Any]:
    """FLOPs, seconds and dollars against the average, and where they went."""
    return _placed(
        wr.ScatterPlot(
            title="Compute (FLOPs of selecting and training) against average", x=FLOPS, y=AVERAGE, log_x=True
        ),
        wr.BarPlot(
            title="FLOPs of each stage", metrics=[f"{stage}/compute_flops" for stage in STAGES[:-1]],
            max_runs_to_show=30,
        ),
        wr.ScatterPlot(title="Cost (seconds of the chain) against average", x=SECONDS, y=AVERAGE, log_x=True),
        wr.ScatterPlot(title="Cost (US dollars of the rater) against average", x=DOLLARS, y=AVERAGE),
        wr.BarPlot(
            title="Seconds of each stage", metrics=[f"{stage}/wall_seconds" for stage in STAGES],
            max_runs_to_show=30
        ),
        wr.BarPlot(
            title="Peak memory of each stage (GiB)", metrics=[f"{stage}/peak_memory_gib" for stage in STAGES],
            max_runs_to_show=30,
        ),
    )  # fmt: skip


def curation() -> list[Any]:
    """Hyper-parameters of curation against the average; matrices and distributions side by side."""
    columns = [
        *(wr.ParallelCoordinatesPlotColumn(wr.Config(name), display_name=name.replace("_", " "))
          for name in ("rater", "curation", "curation_k", "curation_confidence", "selection", "budget")),
        wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric("curate/changed"), display_name="scores changed"),
        wr.ParallelCoordinatesPlotColumn(AVERAGE, display_name="average"),
    ]  # fmt: skip
    return _placed(
        wr.ParallelCoordinatesPlot(title="Curation and what came of it", columns=columns),
        wr.MediaBrowser(
            title="Transition matrices", media_keys=["curate/transition"], num_columns=3, gallery_axis="run"
        ),
        wr.MediaBrowser(
            title="Scores as rated and curated",
            media_keys=["curate/scores"],
            num_columns=3,
            gallery_axis="run",
        ),
        wr.WeavePanelSummaryTable(table_name="curate/transition_table"),
    )


def evaluation(tasks: Sequence[str]) -> list[Any]:
    """Bars with whiskers for each benchmark, and the results as logged."""
    bars = [
        wr.BarPlot(
            title=task, metrics=[f"eval/{task}"], groupby=wr.Config("selection"), groupby_aggfunc="mean",
            groupby_rangefunc="stddev", max_runs_to_show=100,
        )
        for task in tasks
    ]  # fmt: skip
    return _placed(*bars, wr.WeavePanelSummaryTable(table_name="eval/results"))


def training() -> list[Any]:
    """Learning curves."""
    return _placed(
        wr.LinePlot(
            title="Fine-tuning loss", x="finetune/step", y=["finetune/loss"], title_x="optimiser step",
            title_y="loss", groupby_aggfunc="mean", groupby_rangefunc="minmax", max_runs_to_show=30,
        )
    )  # fmt: skip


def selection() -> list[Any]:
    """Where the subsets come from."""
    return _placed(
        wr.MediaBrowser(
            title="Sources of pool and subset",
            media_keys=["select/sources"],
            num_columns=3,
            gallery_axis="run",
        ),
        wr.WeavePanelSummaryTable(table_name="select/sources_table"),
    )


def _placed(*panels: Any) -> list[Any]:
    """Two panels a row."""
    for place, panel in enumerate(panels):
        panel.layout = wr.Layout(x=12 * (place % 2), y=9 * (place // 2), w=12, h=9)
        told = f"{getattr(panel, 'title', None) or getattr(panel, 'table_name', '')}-{place}"
        panel._id = _stable_id(told)
    return list(panels)


def _section(name: str, panels: list[Any], *, columns: int) -> ws.Section:
    rows = -(-len(panels) // columns)
    layout = ws.SectionLayoutSettings(columns=columns, rows=min(rows, 3))
    return ws.Section(name=name, panels=panels, is_open=True, layout_settings=layout)


def _runs(title: str) -> wr.Runset:
    # Without entity and project W&B takes the report's own, and building the page asks no server.
    runs = wr.Runset(name="runs", groupby=[f"config.{choice}" for choice in CHOICES])
    runs._id = _stable_id(title)
    return runs


def _stable_id(text: str) -> str:
    """The same from call to call, so that an update replaces what is there."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
