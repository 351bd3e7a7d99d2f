"""Figure 2 and the pool table: how often each rater gives each score, over the whole pool and by source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ds2.report.figures.canvas import ACCENT, INK, RAMP, SOFT, new_figure, percent, set_title
from experiments import published
from experiments.real_data import NUM_SCORES, RATERS, ReleasedScores, data_folder, released_scores
from experiments.result import Options, Result, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEVELS = [f"score_{level}" for level in range(NUM_SCORES)]


def pool_table(released: ReleasedScores) -> pd.DataFrame:
    """Samples of each source: source, ours, published; the last row is the pool."""
    theirs = published.read("pool_composition").set_index("source")["samples"]
    ours = pd.Series(
        np.bincount(released.source, minlength=len(released.source_names)), released.source_names
    )
    table = pd.DataFrame({"ours": ours, "published": theirs.reindex(released.source_names)})
    table.loc["all"] = table.sum()
    return table.astype(int).rename_axis("source").reset_index()


def count_by_rater(released: ReleasedScores) -> pd.DataFrame:
    """Samples given each score: rater, score, ours, share, published."""
    theirs = published.read("score_distribution").set_index("rater")[LEVELS]
    rows = []
    for rater, scores in released.scores.items():
        counts = np.bincount(scores, minlength=NUM_SCORES)
        for level, count in enumerate(counts.tolist()):
            known = int(theirs.loc[rater, f"score_{level}"])
            row = {"rater": rater, "score": level, "ours": count, "share": count / len(scores)}
            rows.append(row | {"published": known})
    return pd.DataFrame(rows)


def count_by_source(released: ReleasedScores) -> pd.DataFrame:
    """Samples of each source given each score: rater, source, score, ours, published (NaN but for
    GPT-4o-mini).
    """
    theirs = published.read("score_distribution_gpt_by_source").set_index("source")[LEVELS]
    rows = []
    for rater, scores in released.scores.items():
        joint = np.bincount(
            released.source * NUM_SCORES + scores, minlength=len(released.source_names) * NUM_SCORES
        ).reshape(-1, NUM_SCORES)
        for name, counts in zip(released.source_names, joint.tolist(), strict=True):
            for level, count in enumerate(counts):
                known = int(theirs.loc[name, f"score_{level}"]) if rater == "gpt_4o_mini" else None
                rows.append(
                    {"rater": rater, "source": name, "score": level, "ours": count, "published": known}
                )
    return pd.DataFrame(rows).astype({"published": float})


def draw_raters(by_rater: pd.DataFrame) -> Figure:
    """The share of each score, a panel a rater."""
    figure, axes = new_figure(9, 3.1, ncols=len(RATERS), sharey=True)
    total = by_rater.groupby("rater")["ours"].sum()
    for each, (rater, label) in zip(axes, RATERS.items(), strict=True):
        given = by_rater[by_rater["rater"] == rater]
        each.bar(given["score"], given["share"], 0.78, color=ACCENT)
        for level, share in zip(given["score"], given["share"], strict=True):
            each.annotate(f"{share:.1%}", (level, share), (0, 3), textcoords="offset points", ha="center",
                          fontsize=8, color=SOFT)  # fmt: skip
        mean = float((given["score"] * given["share"]).sum())
        set_title(each, label, f"mean {mean:.2f}, N = {total[rater]:,}")
        each.set_xticks(given["score"])
        each.set_xlabel("score")
        each.tick_params(axis="x", length=0)
    axes[0].set_ylabel("share of samples")
    axes[0].set_ylim(0, float(by_rater["share"].max()) * 1.16)
    percent(axes[0].yaxis)
    return figure


def draw_sources(by_source: pd.DataFrame) -> Figure:
    """How each rater scores each source: a bar a source, its shares from score 0 (left, light) to 5 (right,
    dark).
    """
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("ds2", RAMP)(np.linspace(0.08, 1, NUM_SCORES))
    names = list(dict.fromkeys(by_source["source"]))
    figure, axes = new_figure(9, 2.9, ncols=len(RATERS), sharey=True)
    for each, (rater, label) in zip(axes, RATERS.items(), strict=True):
        counts = by_source[by_source["rater"] == rater].pivot(index="source", columns="score", values="ours")
        shares = counts.loc[names].div(counts.loc[names].sum(axis=1), axis=0)
        left = np.zeros(len(names))
        for level in range(NUM_SCORES):
            width = shares[level].to_numpy()
            each.barh(names, width, 0.74, left, color=shades[level], label=str(level))
            for y in np.flatnonzero(width >= 0.095):
                each.text(left[y] + width[y] / 2, y, f"{width[y]:.0%}".rstrip("%"), ha="center", va="center",
                          fontsize=8, color=INK if level < 3 else "white")  # fmt: skip
            left += width
        set_title(each, label)
        each.set_xlim(0, 1)
        each.spines[["left", "bottom"]].set_visible(False)
        each.set_xticks([])
        each.tick_params(axis="y", length=0)
    axes[0].invert_yaxis()
    sizes = by_source[by_source["rater"] == next(iter(RATERS))].groupby("source")["ours"].sum()
    axes[0].set_yticks(range(len(names)), [f"{name}\n{sizes[name]:,}" for name in names], fontsize=8.5)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=NUM_SCORES,
                  frameon=False, fontsize=8.5, title="score (numbers: % of the source)", title_fontsize=8.5,
                  handlelength=1.1)  # fmt: skip
    return figure


def run(options: Options) -> Result:
    """All 300,932 released scores, counted."""
    released = released_scores(data_folder(options, "score_distributions"))
    by_rater, by_source = count_by_rater(released), count_by_source(released)
    counts = {"ours": ",", "published": ",.0f"}
    known = by_source.dropna()
    equal = (by_rater["ours"] == by_rater["published"]).all() and (known["ours"] == known["published"]).all()
    return Result(
        title="Score distributions (Figure 2) and the pool",
        caption=f"Released scores of {released.source.size:,} samples. Published counts were recomputed from "
        "the same files, so "
        f"they must be equal: they are{'' if equal else ' NOT'}.",
        tables=[
            Table("pool", pool_table(released), "Samples of each source", counts),
            Table("by_rater", by_rater, "Samples given each score", {**counts, "share": ".1%"}),
            Table("by_source", by_source, "Samples given each score, by source", counts),
        ],
        figures={"score_distributions": draw_raters(by_rater), "scores_by_source": draw_sources(by_source)},
    )
