"""The panels of the W&B workspace and report, and nothing that talks to W&B.

Every key that a panel reads is logged by `ds2/report/tracking.py`, whose head lists them. A bar of a cell is
a mean over seeds, its whisker a standard deviation over seeds (`ds2.report.trackers.settings`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import wandb_workspaces.reports.v2 as wr

from ds2.config.stages import STAGES
from ds2.report import costs

CELL = "cell"
AVERAGE = wr.SummaryMetric("eval/average")
SECONDS = wr.SummaryMetric("cost/seconds")
DOLLARS = wr.SummaryMetric("cost/usd")
FLOPS = wr.SummaryMetric("cost/flops")


def comparison() -> list[Any]:
    """Cells, raters and budgets against the average."""
    return _placed(
        _bar("Average by cell", AVERAGE.name, CELL),
        *(
            _bar(f"Average by {name}", AVERAGE.name, key)
            for name, key in (("rater", "rater"), ("budget", "budget_named"), ("selection", "selection"))
        ),
        wr.ScatterPlot(
            title="Average against budget: filter by budget_unit",
            x=wr.Config("budget"),
            y=AVERAGE,
            log_x=True,
        ),
    )


def _bar(title: str, metric: str, groupby: str) -> Any:
    """Means of the runs that share a setting."""
    return wr.BarPlot(
        title=title, metrics=[metric], groupby=wr.Config(groupby), groupby_aggfunc="mean",
        groupby_rangefunc="stddev", max_runs_to_show=100,
    )  # fmt: skip


def _bars(title: str, metrics: list[str]) -> Any:
    """A bar a run and metric."""
    return wr.BarPlot(title=title, metrics=metrics, max_runs_to_show=30)


def cost() -> list[Any]:
    """FLOPs, seconds and dollars against the average, and where they went."""
    return _placed(
        wr.ScatterPlot(
            title="Compute (FLOPs of selecting and training) against average", x=FLOPS, y=AVERAGE, log_x=True
        ),
        _bars("FLOPs of selecting and of training", ["cost/selection_flops", "cost/training_flops"]),
        _bars("FLOPs of each stage", [f"{stage}/compute_flops" for stage in costs.STAGES]),
        wr.ScatterPlot(title="Cost (seconds of the chain) against average", x=SECONDS, y=AVERAGE, log_x=True),
        wr.ScatterPlot(title="Cost (US dollars of the rater) against average", x=DOLLARS, y=AVERAGE),
        _bars("Seconds of each stage", [f"{stage}/wall_seconds" for stage in STAGES]),
        _bars("Peak memory of each stage (GiB)", [f"{stage}/peak_memory_gib" for stage in STAGES]),
    )


def curation() -> list[Any]:
    """Hyper-parameters of curation against the average; matrices and distributions side by side."""
    columns = [
        *(wr.ParallelCoordinatesPlotColumn(wr.Config(name), display_name=name.replace("_", " "))
          for name in ("rater", "curation", "curation_k", "curation_confidence", "selection",
                       "budget_named")),
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


def evaluation(tasks: Mapping[str, str]) -> list[Any]:
    """Bars with whiskers for each benchmark (task -> title), and the results as logged."""
    bars = [_bar(title, f"eval/{task}", CELL) for task, title in tasks.items()]
    return _placed(*bars, wr.WeavePanelSummaryTable(table_name="eval/results"))


def search() -> list[Any]:
    """The trials of a search in their order, and what was chosen in trials and recipes."""
    columns = [
        *(wr.ParallelCoordinatesPlotColumn(wr.Config(name), display_name=name.replace("_", " "))
          for name in ("trial", "method", "embedder", "curation_k", "finetune_learning_rate",
                       "finetune_max_steps", "budget_named")),
        wr.ParallelCoordinatesPlotColumn(AVERAGE, display_name="average"),
    ]  # fmt: skip
    return _placed(
        wr.ScatterPlot(title="Trials of a search", x=wr.Config("trial"), y=AVERAGE),
        wr.ParallelCoordinatesPlot(title="Trials and recipes, and what came of them", columns=columns),
    )


def training() -> list[Any]:
    """Learning curves, and how well the device was used."""
    return _placed(
        _curve("Fine-tuning loss", "loss", "loss"),
        _curve("Learning rate", "learning_rate", "learning rate"),
        _bars("Tokens a second of fine-tuning", ["finetune/tokens_per_second"]),
        _bars("MFU of fine-tuning (listed GPUs)", ["finetune/mfu"]),
        _bars(
            "Loss of response tokens before they are cleaned: base, reference",
            ["tokens/base_loss", "tokens/reference_loss"],
        ),
    )


def _curve(title: str, name: str, shown: str) -> Any:
    return wr.LinePlot(
        title=title, x="finetune/step", y=[f"finetune/{name}"], title_x="optimiser step", title_y=shown,
        groupby_aggfunc="mean", groupby_rangefunc="minmax", max_runs_to_show=30,
    )  # fmt: skip


def selection() -> list[Any]:
    """Where the subsets come from, and whether they fill their budget."""
    return _placed(
        _bars("Share of the budget that was used, where a part was left", ["select/budget_used"]),
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
        panel._id = stable_id(told)
    return list(panels)


def stable_id(text: str) -> str:
    """The same from call to call, so that an update replaces what is there."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
