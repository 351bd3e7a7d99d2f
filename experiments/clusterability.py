"""Does a neighbour tell a score? Gap between each sample's score and the mean of its 2 nearest neighbours'
scores.

    gap_n = |s_n - (s_a + s_b) / 2|        a, b: the two nearest neighbours of n        0, 0.5, ... K - 1

The paper rests on small gaps. How small they are by chance is measured by shuffling the scores among the
samples, which keeps their distribution and destroys everything that neighbours could know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ds2.report.figures.canvas import ACCENT, MUTED, SOFT, WARM, new_figure, percent, set_caption, set_title
from experiments import published
from experiments.real_data import NUM_SCORES, RATERS, Slice, curated_slice
from experiments.result import Options, Result, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAPS = np.arange(0, NUM_SCORES - 0.5, 0.5)
"""Every gap there can be."""
SHUFFLES = 200
VERSIONS = {"raw": "raw", "rank": "curated", "rank_doubled": "curated", "posterior": None}
"""Our scores -> the published ones beside them."""


def gap_shares(scores: NDArray[np.int64], pairs: NDArray[np.int32]) -> NDArray[np.float64]:
    """Share of samples at each of `GAPS`, (11,); scores (N,) 0..5, pairs (N, 2) rows of the two nearest
    neighbours.
    """
    doubled = np.abs(2 * scores - scores[pairs].sum(axis=1))
    return np.bincount(doubled, minlength=len(GAPS)) / len(scores)


def shuffled_shares(
    scores: NDArray[np.int64], pairs: NDArray[np.int32], *, shuffles: int = SHUFFLES, seed: int = 0
) -> NDArray[np.float64]:
    """`gap_shares` of scores shuffled among the samples, (shuffles, 11)."""
    rng = np.random.default_rng(seed)
    return np.stack([gap_shares(rng.permutation(scores), pairs) for _ in range(shuffles)])


def measure(pool: Slice, *, shuffles: int = SHUFFLES) -> pd.DataFrame:
    """rater, scores (one of `VERSIONS`), gap, ours, shuffled with its 95 % interval low..high, published;
    shares.
    """
    pairs = pool.neighbors()[:, :2]
    printed = published.read("clusterability").set_index(["rater", "scores"])
    rows = []
    for rater in RATERS:
        for version, beside in VERSIONS.items():
            scores = pool.scores(rater, version)
            ours, chance = gap_shares(scores, pairs), shuffled_shares(scores, pairs, shuffles=shuffles)
            low, high = np.quantile(chance, [0.025, 0.975], axis=0)
            for g, gap in enumerate(GAPS):
                column = f"gap_{gap:g}"
                known = beside is not None and column in printed
                rows.append(
                    {
                        "rater": rater, "scores": version, "gap": float(gap), "ours": ours[g],
                        "shuffled": chance[:, g].mean(), "low": low[g], "high": high[g],
                        "published": printed.loc[(rater, beside), column] / 100 if known else None,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows).astype({"published": float})


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Mean gap and share of gaps of at most 0.5, ours, shuffled and published: rater, scores, ..."""
    rows = []
    for (rater, scores), gaps in table.groupby(["rater", "scores"], sort=False):
        row = {"rater": rater, "scores": scores}
        near = gaps[gaps["gap"] <= 0.5]
        for name in ("ours", "shuffled", "published"):
            row[f"{name}_at_most_half"] = near[name].sum(min_count=2)
        for name in ("ours", "shuffled"):
            row[f"{name}_mean_gap"] = float((gaps["gap"] * gaps[name]).sum())
        rows.append(row)
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, note: str) -> Figure:
    """Shares by gap, a column a rater: raw scores above, curated by `rank` beneath; shuffled and published
    beside ours.

    note: the caption, `Slice.note`.
    """
    figure, grid = new_figure(9.4, 5.0, nrows=2, ncols=len(RATERS), sharex=True, sharey=True)
    lines = {"raw": "raw scores", "rank": "curated (rank)"}
    for (version, title), line in zip(lines.items(), grid, strict=True):
        for (rater, label), axes in zip(RATERS.items(), line, strict=True):
            gaps = table[(table["rater"] == rater) & (table["scores"] == version) & (table["gap"] <= 4)]
            axes.bar(gaps["gap"], gaps["ours"], 0.4, color=ACCENT, label="ours, 67k")
            axes.plot(gaps["gap"], gaps["shuffled"], "_", color=MUTED, markersize=13, markeredgewidth=2.2,
                      label="ours, shuffled")  # fmt: skip
            axes.plot(gaps["gap"], gaps["published"], "o", color="white", markeredgecolor=WARM,
                      markersize=5.5, markeredgewidth=1.5, label="published, 300k")  # fmt: skip
            near = gaps[gaps["gap"] <= 0.5]
            axes.annotate(
                f"gap ≤ ½: {near['ours'].sum():.0%}\nshuffled {near['shuffled'].sum():.0%}\n"
                f"published {near['published'].sum():.0%}",
                (0.98, 0.95), xycoords="axes fraction", ha="right", va="top", fontsize=8.5, color=SOFT,
            )  # fmt: skip
            if version == "raw":
                set_title(axes, label)
            else:
                axes.set_xlabel("gap to the mean of 2 neighbours")
        line[0].set_ylabel(f"{title}\nshare of samples")
    percent(grid[0, 0].yaxis)
    grid[0, 0].set_xticks([0, 1, 2, 3, 4])
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3, frameon=False,
                  fontsize=9)  # fmt: skip
    set_caption(figure, note)
    return figure


def run(options: Options) -> Result:
    """Gaps on the slice beside shuffled scores and the published shares."""
    pool = curated_slice(options, "clusterability")
    table = measure(pool)
    summary = summarise(table)
    shares = dict.fromkeys(("ours", "shuffled", "low", "high", "published"), ".1%")
    short = {c: ".1%" if c.endswith("half") else ".2f" for c in summary.columns[2:]}
    return Result(
        title="Clusterability: gap between a score and the mean of its 2 nearest neighbours",
        caption=f"{pool.note}. Shuffled: mean and 95 % interval of {SHUFFLES} shuffles. Curated scores were "
        "replaced by what the "
        "same neighbours say: their small gaps are no evidence. The published curated ones were made with "
        "the pool doubled.",
        tables=[
            Table("gaps", table, "Share of samples by gap", shares),
            Table("summary", summary, "Gaps of at most 0.5, and the mean gap", short),
        ],
        figures={"clusterability": draw(table, pool.note)},
    )
