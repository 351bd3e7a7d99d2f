"""Figure 7: how much the choice of the rater matters, and how far the raters agree in the first place.

Two measures: the largest difference between raters in the average over benchmarks (published; ours from the
finished cells of `data_scaling`), and, which needs no fine-tuning, the raters' own agreement: on all 300,932
samples as released, and on the slice raw and curated.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ds2.report.answers import AVERAGE
from ds2.report.figures.canvas import ACCENT, MUTED, SOFT, WARM, new_figure, percent, set_caption, set_title
from ds2.report.table import ResultTable
from experiments import grid, published, published_cells
from experiments.agreement import kappa, spread_shares
from experiments.real_data import (
    NUM_SCORES,
    PAIRS,
    RATERS,
    ReleasedScores,
    Scores,
    Slice,
    curated_slice,
    released_scores,
)
from experiments.result import Options, Result, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VERSIONS = {
    "released": "all 300,932, raw",
    "raw": "67k, raw",
    "rank": "67k, curated by rank",
    "posterior": "67k, curated by posterior",
}

WAYS = {"ds2_without_curation": "without", "ds2": "with"}
"""Method of the published CSVs -> whether its scores are curated."""


def own_averages(table: ResultTable) -> pd.DataFrame:
    """method, rater, budget (samples), average_mean (points) of our finished cells, named as in the published
    CSVs.
    """
    methods = {published_cells.METHODS.get(method, method): method for method in WAYS}
    raters = {name: rater for rater in RATERS for name in published_cells.RATERS.get(rater, (rater,))}
    cells = table.summary()
    chosen = cells[
        (cells["task"] == AVERAGE) & (cells["model"] == published_cells.MODEL) & cells["mean"].notna()
        & cells["method"].isin(list(methods)) & cells["rater"].isin(list(raters))
    ].rename(columns={"mean": "average_mean"})  # fmt: skip
    return chosen.assign(
        method=chosen["method"].map(methods),
        rater=chosen["rater"].map(raters),
        budget=chosen["budget"].astype(float),
    )[["method", "rater", "budget", "average_mean"]]


def largest_gaps(cells: pd.DataFrame) -> pd.Series:
    """Highest minus lowest mean average among the raters, by (curation, budget).

    cells: method (`ds2`, `ds2_without_curation`), rater, budget, average_mean; a budget counts where all
    three raters have it.
    """
    chosen = cells[cells["method"].isin(list(WAYS)) & cells["rater"].isin(list(RATERS))]
    by_rater = (
        chosen.groupby(["method", "budget"])["average_mean"].agg(["max", "min", "size"]).query("size == 3")
    )
    gaps = (by_rater["max"] - by_rater["min"]).rename(index=WAYS, level="method")
    return gaps.rename_axis(["curation", "budget"])


def gap_table(cells: pd.DataFrame) -> pd.DataFrame:
    """budget, curation (without, with), ours, published: the largest difference between two raters, points of
    the average.

    cells: our finished cells, as for `largest_gaps`.
    """
    printed = published.read("rater_gap")
    known = largest_gaps(cells)
    rows = []
    for way in ("without", "with"):
        for budget, theirs in zip(printed["budget"], printed[f"max_gap_{way}_curation"], strict=True):
            rows.append(
                {"budget": budget, "curation": way, "ours": known.get((way, budget)), "published": theirs}
            )
    return pd.DataFrame(rows).astype({"ours": float})


def versions(released: ReleasedScores, pool: Slice) -> dict[str, dict[str, Scores]]:
    """Version -> rater -> scores."""
    curated = {v: {rater: pool.scores(rater, v) for rater in RATERS} for v in VERSIONS if v != "released"}
    return {"released": released.scores, **curated}


def shuffled_within_sources(released: ReleasedScores, *, seed: int = 0) -> dict[str, Scores]:
    """Each rater's scores shuffled among the samples of a source: what agreement is left is about sources
    alone.
    """
    rng = np.random.default_rng(seed)
    order = np.argsort(released.source, kind="stable")
    shuffled = {}
    for rater, scores in released.scores.items():
        shuffled[rater] = np.empty_like(scores)
        for rows in np.split(order, np.flatnonzero(np.diff(released.source[order])) + 1):
            shuffled[rater][rows] = scores[rng.permutation(rows)]
    return shuffled


def kappa_table(scores: dict[str, dict[str, Scores]]) -> pd.DataFrame:
    """scores (a version), first, second (raters), kappa, low, high (95 % bootstrap over samples), samples."""
    rows = []
    for version, by_rater in scores.items():
        for first, second in PAIRS:
            agreement = kappa(by_rater[first], by_rater[second], NUM_SCORES)
            row = {"scores": version, "first": first, "second": second, "kappa": agreement.value}
            rows.append(row | {"low": agreement.low, "high": agreement.high, "samples": len(by_rater[first])})
    return pd.DataFrame(rows)


def spread_table(scores: dict[str, dict[str, Scores]]) -> pd.DataFrame:
    """scores (a version), spread (highest minus lowest score of a sample), share of samples."""
    rows = []
    for version, by_rater in scores.items():
        shares = spread_shares(by_rater, NUM_SCORES)
        rows += [{"scores": version, "spread": i, "share": share} for i, share in enumerate(shares)]
    return pd.DataFrame(rows)


def draw(gaps: pd.DataFrame, kappas: pd.DataFrame, spreads: pd.DataFrame, note: str) -> Figure:
    """Gap by budget; kappa of each pair; spread of the raters; note: the caption."""
    figure, (left, middle, right) = new_figure(11, 3.5, ncols=3, width_ratios=(1, 1.15, 1))
    _draw_gaps(left, gaps)
    colours = dict(zip(VERSIONS, (SOFT, MUTED, WARM, ACCENT), strict=True))
    for i, (version, label) in enumerate(VERSIONS.items()):
        of_version = kappas[kappas["scores"] == version]
        at = [p + (i - 1.5) * 0.19 for p in range(len(PAIRS))]
        middle.bar(at, of_version["kappa"], 0.17, color=colours[version], label=label)
        middle.vlines(at, of_version["low"], of_version["high"], color=SOFT, linewidth=1)
        for x, value in zip(at, of_version["kappa"], strict=True):
            middle.annotate(f"{value:.2f}"[1:], (x, value), (0, 3), textcoords="offset points", ha="center",
                            fontsize=7.5, color=SOFT)  # fmt: skip
        spread = spreads[spreads["scores"] == version]
        right.plot(
            spread["spread"], spread["share"], "o-", color=colours[version], linewidth=1.8, markersize=5
        )
    middle.set_xticks(range(len(PAIRS)), [f"{_short(a)}\n{_short(b)}" for a, b in PAIRS])
    middle.set_ylabel("quadratic-weighted kappa")
    middle.set_ylim(0, 0.5)
    middle.tick_params(axis="x", length=0)
    set_title(middle, "Agreement of pairs", "1: the same scores, 0: chance")
    percent(right.yaxis)
    right.set_ylim(0, None)
    right.set_xlabel("highest minus lowest score of a sample")
    right.set_ylabel("share of samples")
    set_title(right, "Spread of the three raters", "0: all three give the same score")
    figure.legend(*middle.get_legend_handles_labels(), loc="outside upper right", ncols=4, frameon=False,
                  fontsize=8.5, handlelength=1.1)  # fmt: skip
    set_caption(figure, f"67k: {note}")
    return figure


def _draw_gaps(axes: Any, gaps: pd.DataFrame) -> None:
    for way, colour in (("without", MUTED), ("with", ACCENT)):
        of_way = gaps[gaps["curation"] == way]
        axes.plot(range(len(of_way)), of_way["published"], "o--", color=colour, linewidth=1.2, markersize=4)
        axes.plot(range(len(of_way)), of_way["ours"], "o-", color=colour, linewidth=1.8, markersize=5.5)
        axes.annotate(f"{way} curation", (1, of_way["published"].iloc[1]), (9, 3), textcoords="offset points",
                      fontsize=8.5, color=SOFT if way == "without" else colour)  # fmt: skip
    budgets = gaps["budget"].unique()
    axes.set_xticks(range(len(budgets)), [f"{b / 1000:g}k" for b in budgets])
    axes.set_ylim(
        0, 1.18 * gaps[["ours", "published"]].max(axis=None)
    )  # room for a label above the highest point
    axes.set_xlabel("budget (samples)")
    axes.set_ylabel("points of the average")
    set_title(
        axes,
        "Largest difference between raters",
        "dashed: published; ours drawn through"
        if gaps["ours"].notna().any()
        else "published; ours: no fine-tune finished",
    )


def _short(rater: str) -> str:
    return RATERS[rater].split("-")[0]


def run(options: Options) -> Result:
    """Agreement of the raters, and the gap that their choice makes."""
    pool = curated_slice(options, "rater_gap")
    released = released_scores(Path(options.paths.data))
    scores = versions(released, pool)
    scaling = grid.look("data_scaling", options)  # it reads half of that grid
    gaps, spreads = gap_table(own_averages(scaling.table())), spread_table(scores)
    kappas = kappa_table(scores | {"by_source": shuffled_within_sources(released)})
    three = dict.fromkeys(("kappa", "low", "high"), ".3f")
    return Result(
        title="Rater gap (Figure 7) and agreement of the raters",
        caption=f"released: all {released.source.size:,} samples; by_source: these shuffled within their "
        f"sources; raw, rank, posterior: {pool.note}. Curated scores of all raters rest on the same "
        "neighbours, which makes them agree more whether or not they are truer.",
        tables=[
            Table(
                "gap",
                gaps,
                "Largest difference between raters, points of the average",
                {"ours": ".2f", "published": ".2f"},
            ),
            Table("kappa", kappas, "Quadratic-weighted kappa, 95 % interval", {**three, "samples": ","}),
            Table("spread", spreads, "Highest minus lowest score of a sample", {"share": ".1%"}),
        ],
        figures={"rater_gap": draw(gaps, kappas, spreads, pool.note)},
        notes=[
            "Our gap is read from the fine-tunes of data_scaling, base model llama_3_1_8b.",
            *scaling.lines(),
        ],
        complete=bool(gaps["ours"].notna().all()),
    )
