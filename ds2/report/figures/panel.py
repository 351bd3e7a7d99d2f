"""What a panel of raters is worth: how far each follows it, and what each next one adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ds2.method.panel_result import PanelAccount
from ds2.report.figures.canvas import ACCENT, INK, MUTED, SOFT, WARM, as_text, new_figure, set_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def panel_worth(panel: PanelAccount, *, title: str = "") -> Figure:
    """Left: each rater's loading with its 95 % interval, orange where it could be left out. Right: the
    panel's reliability as it grows in the order in which one would ask the raters, with each one's gain and
    the dollars so far where they are known.
    """
    R = len(panel.raters)
    figure, (left, right) = new_figure(10, 0.34 * R + 2.1, ncols=2, width_ratios=(1, 1.15))
    at = np.arange(R)[::-1]
    for y, rater in zip(at, panel.raters, strict=True):
        tone = WARM if rater.name in panel.spare else ACCENT
        left.plot([rater.loading_low, rater.loading_high], [y, y], color=tone, linewidth=1.6)
        left.plot(rater.loading, y, "o", color=tone, markersize=6.5, markeredgecolor="white")
    left.set_yticks(at, as_text(rater.name for rater in panel.raters), parse_math=False)
    left.set_ylim(-0.6, R - 0.4)
    left.set_xlim(0, 1)
    left.grid(axis="x", color=MUTED, linewidth=0.5, alpha=0.6)
    left.set_xlabel("loading: correlation with the panel's quality")
    spare = "orange: could be left out" if panel.spare else "each adds something"
    set_title(left, title or "Raters", spare)
    reached = [step.reliability for step in panel.order]
    x = np.arange(1, R + 1)
    right.plot(x, reached, "o-", color=ACCENT, linewidth=1.8, markersize=5.5)
    for i, (n, step) in enumerate(zip(x, panel.order, strict=True)):
        if i:
            right.annotate(
                f"{step.gain:+.3f}", (n, step.reliability), (0, 7), textcoords="offset points", fontsize=8.5,
                ha="center", color=INK if step.gain > 0 else WARM,
            )  # fmt: skip
    ticks = [step.rater if not i else f"+ {step.rater}" for i, step in enumerate(panel.order)]
    paid = [f"\n${step.cost:,.2f}" if step.cost is not None else "" for step in panel.order]
    labels = [name + cost for name, cost in zip(as_text(ticks), paid, strict=True)]
    right.set_xticks(x, labels, fontsize=8.5, parse_math=False)
    right.tick_params(axis="x", rotation=0 if R < 4 else 30)
    low, high = min(reached), max(reached)
    right.set_ylim(low - 0.15 * (high - low) - 0.01, high + 0.25 * (high - low) + 0.01)
    right.set_xlim(0.6, R + 0.4)
    right.set_ylabel("reliability of the panel")
    right.yaxis.label.set_color(SOFT)
    worth = f"worth {panel.independent_raters:.1f} independent raters" if panel.repeats_of is None else ""
    set_title(right, "What each next rater adds", worth)
    return figure
