"""How much of a selected subset another sample of the same pool would choose too, against the budget.

Each curation of the slice is repeated on resamples of its neighbourhoods (`curation.bootstrap`); the overlap
is the expected share of the m chosen samples that two resamples have in common, m / N for random subsets.
Selecting by the scores as given estimates nothing, so nothing of it can move under resampling (overlap 1);
its noise is the rater's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ds2.report.figures.canvas import ACCENT, SOFT, WARM, new_figure, percent, set_caption, set_title
from experiments.real_data import RATERS, Slice, curated_slice
from experiments.released_subset import compare_with_released
from experiments.result import Options, Result, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = {"posterior": ACCENT, "rank": WARM}


def measure(pool: Slice) -> pd.DataFrame:
    """rater, method, budget, share of the pool (also the overlap of random subsets), overlap."""
    rows = []
    for rater in RATERS:
        for method in METHODS:
            uncertainty = pool.uncertainty(rater, method)
            points = zip(uncertainty.stability_budgets.tolist(), uncertainty.stability.tolist(), strict=True)
            for budget, overlap in points:
                share = budget / pool.num_samples
                rows.append(
                    {"rater": rater, "method": method, "budget": budget, "share": share, "overlap": overlap}
                )
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, note: str) -> Figure:
    """Overlap against budget, a panel a rater, beside chance; note: the caption, `Slice.note`."""
    figure, axes = new_figure(9.4, 3.4, ncols=len(RATERS), sharey=True)
    for each, (rater, label) in zip(axes, RATERS.items(), strict=True):
        of_rater = table[table["rater"] == rater]
        each.plot([0, 1], [0, 1], color=SOFT, linewidth=0.9, linestyle=(0, (4, 3)))
        for method, colour in METHODS.items():
            line = of_rater[of_rater["method"] == method]
            each.plot(line["share"], line["overlap"], "o-", color=colour, linewidth=1.8, markersize=5.5,
                      label=method)  # fmt: skip
            other = of_rater[of_rater["method"] != method].set_index("budget")["overlap"]
            for share, budget, overlap in zip(line["share"], line["budget"], line["overlap"], strict=True):
                # The upper curve's numbers stand above it, the lower one's beneath.
                above = overlap >= other[budget]
                each.annotate(f"{overlap:.3f}"[1:], (share, overlap), (0, 7 if above else -14), ha="center",
                              textcoords="offset points", fontsize=8, color=colour)  # fmt: skip
        budgets = of_rater[of_rater["method"] == "rank"]
        each.set_xticks(budgets["share"], [f"{s:.0%}".rstrip("%") for s in budgets["share"]])
        each.set_xlim(-0.025, 0.56)  # room for the first number beside the axis
        each.set_xlabel("budget (% of the pool)")
        set_title(each, label)
    axes[0].text(0.54, 0.2, "two random subsets", fontsize=8.5, color=SOFT, ha="right")
    axes[0].set_ylim(0, 1.08)
    percent(axes[0].yaxis)
    axes[0].set_ylabel("expected overlap")
    axes[0].legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0.0, 0.52))
    set_caption(figure, note)
    return figure


def run(options: Options) -> Result:
    """Stability on the slice; the overlap of our 10,000 with the released ones where it can be checked."""
    pool = curated_slice(options, "selection_stability")
    table = measure(pool)
    beside = compare_with_released(Path(options.paths.data), options.paths.artifacts)
    said = (
        beside
        if isinstance(beside, str)
        else f"{beside.shared:,} of {beside.ours:,} (released: {beside.theirs:,})"
    )
    return Result(
        title="Stability of the selection under resampled neighbourhoods",
        caption=f"{pool.note}. Overlap: expected share of the subset that two of 20 resamples have in "
        "common; share: of the pool, "
        "and the overlap of two random subsets.",
        tables=[Table("stability", table, formats={"budget": ",", "share": ".0%", "overlap": ".3f"})],
        figures={"selection_stability": draw(table, pool.note)},
        notes=[f"Overlap of our 10,000 samples for GPT-4o-mini with the released subset: {said}"],
    )
