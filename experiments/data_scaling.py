"""Figure 5: the average over benchmarks against the number of samples selected, ours beside the published
curves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from ds2.report.answers import AVERAGE
from ds2.report.figures.canvas import ACCENT, MUTED, SOFT, WARM, new_figure, set_title
from ds2.report.table import ResultTable
from experiments import grid, published_cells
from experiments.result import Options, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION = (
    "Figure 5 of the paper: the average over benchmarks against the budget, mean and standard deviation over "
    "seeds."
)
CAPTION_MINI = (
    "Figure 5 in miniature: shares of 4,000 generated samples, a tiny base model; nothing here is comparable "
    "with the paper."
)
COLOURS = {
    "ds2 (rank)": ACCENT, "ds2_without_curation": WARM, "ds2_posterior": "#6b4fa0", "alpagasus": "#b0485c",
    "ds2_refined": "#2f6fb5", "deita": "#8a7a2e", "length": "#a8763e",
    "random": SOFT, "less": MUTED,
}  # fmt: skip
"""Colours of the methods whose curves are drawn."""


def run(options: Options) -> Result:
    """The grid of `sweep=data_scaling`, or of `sweep=mini_data_scaling`."""
    swept = grid.look(grid.sweep_name("data_scaling", options, mini="mini_data_scaling"), options)
    printed = None if options.mini else published_cells.data_scaling()
    answer = grid.result(
        swept, caption=CAPTION_MINI if options.mini else CAPTION, published=printed, name="data_scaling"
    )
    known = curves(swept.table(printed))
    return replace(answer, figures={} if known.empty else {"data_scaling": draw(known)})


def curves(table: ResultTable) -> pd.DataFrame:
    """method, rater, budget (samples, or a share of the pool), mean and std in points, origin (`ours`,
    `paper`).
    """
    summary = table.summary()
    averages = summary[(summary["task"] == AVERAGE) & summary["budget"].notna()].assign(origin="ours")
    columns = ["method", "rater", "budget", "mean", "std", "origin"]
    parts = [averages[columns].dropna(subset="mean")]
    for (key, task), cell in table.published.items():
        _, _, budget, method, rater = key
        if task == AVERAGE and budget is not None:
            parts.append(
                pd.DataFrame([[method, rater, budget, cell.value, cell.std, "paper"]], columns=columns)
            )
    return pd.concat(parts).astype({"budget": float, "mean": float, "std": float}).sort_values("budget")


def draw(points: pd.DataFrame) -> Figure:
    """A panel a rater, methods without one in every panel; ours drawn through, the paper's dashed."""
    raters = list(dict.fromkeys(points["rater"].dropna())) or [None]
    figure, axes = new_figure(3.4 * len(raters) + 1.6, 3.6, ncols=len(raters), sharey=True, squeeze=False)
    for rater, panel in zip(raters, axes[0], strict=True):
        of_rater = points[points["rater"].isna() | (points["rater"] == rater)]
        for (method, origin), curve in of_rater.groupby(["method", "origin"], sort=False):
            _draw_curve(panel, str(method), str(origin), curve)
        panel.set_xscale("log")
        ticks = sorted(of_rater["budget"].unique())
        panel.set_xticks(ticks, [f"{100 * b:g} %" if b < 1 else f"{b / 1000:g}k" for b in ticks])
        panel.minorticks_off()
        panel.set_xlabel("share of the pool selected" if ticks[-1] < 1 else "samples selected")
        set_title(panel, str(rater or ""))
    axes[0][0].set_ylabel("average (points)")
    handles: dict[str, Any] = {}
    for panel in axes[0]:
        handles |= dict(zip(*reversed(panel.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside right center", frameon=False, fontsize=8.5)
    return figure


def _draw_curve(panel: Any, method: str, origin: str, curve: pd.DataFrame) -> None:
    ours = origin == "ours"
    panel.errorbar(
        curve["budget"], curve["mean"], yerr=curve["std"].fillna(0), color=COLOURS.get(method, MUTED),
        linestyle="-" if ours else "--", marker="o" if ours else "D", markersize=5 if ours else 3.5,
        linewidth=1.8 if ours else 1, capsize=2, elinewidth=0.9,
        label=method if ours else f"{method} (paper)",
    )  # fmt: skip
