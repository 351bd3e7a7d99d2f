"""What curation found: how sure the scores are, how rare the samples of each score are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from ds2.base.checks import one_of
from ds2.base.errors import UserError
from ds2.report.figures.canvas import (
    ACCENT,
    INK,
    MUTED,
    SOFT,
    legend_beneath,
    new_figure,
    same_length,
    set_title,
    shares_in,
    thousands,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confidence_histogram(
    confidence: ArrayLike,
    changed: ArrayLike | None = None,
    *,
    of: Literal["curated", "suggested"] = "curated",
    bins: int = 20,
    title: str = "",
    note: str = "",
) -> Figure:
    """How sure curation is of each score: samples by confidence, stacked by whether curation changed the
    score.

    confidence: (N,) in [0, 1]. changed: (N,) bool, whether the curated score differs from the given one.
    of: the score that the confidence speaks of: `posterior` gives the probability of the curated score,
    `rank` the certainty of the other score that it suggests, near 0 where it would keep the given one.
    """
    one_of("of", of, ("curated", "suggested"))
    sure = shares_in("confidence", confidence)
    moved = np.zeros(len(sure), dtype=bool) if changed is None else np.asarray(changed, dtype=bool)
    same_length(confidence=sure, changed=moved)
    figure, axes = new_figure(7, 3.4)
    edges = np.linspace(0, 1, bins + 1)
    below = np.zeros(bins)
    parts = {"score kept": (~moved, MUTED), "score changed": (moved, ACCENT)}
    for name, (chosen, colour) in parts.items() if changed is not None else [("", (~moved, ACCENT))]:
        count = np.histogram(sure[chosen], edges)[0].astype(float)
        label = (
            f"{name}: {chosen.sum():,} samples, median {np.median(sure[chosen]):.2f}" if chosen.any() else ""
        )
        axes.bar(
            edges[:-1], count, np.diff(edges), below, align="edge", color=colour, edgecolor="white",
            linewidth=0.8, label=label or None,
        )  # fmt: skip
        below += count
    axes.set_xlim(0, 1)
    axes.set_xticks(np.linspace(0, 1, 11))
    axes.set_xlabel(
        "confidence in the curated score (probability)"
        if of == "curated"
        else "confidence in the other score that is suggested"
    )
    axes.set_ylabel("samples")
    thousands(axes.yaxis)
    if changed is not None:
        legend_beneath(axes, 2, reverse=True)
    set_title(axes, title, note)
    return figure


def long_tail_by_score(
    long_tail: ArrayLike,
    score: ArrayLike,
    num_scores: int,
    *,
    bins: int = 40,
    title: str = "",
    note: str = "",
) -> Figure:
    """The long-tail scores of each score level: a ridge a level, with its quartiles and its number of
    samples.

    long_tail: (N,), higher is rarer. score: (N,) integers 0..K-1; others (unrated) are left out. A ridge's
    height is the share of its own level in a bin, so that levels of any size can be compared.
    """
    rare, level = np.asarray(long_tail, dtype=np.float64), np.asarray(score)
    same_length(long_tail=rare, score=level)
    if rare.ndim != 1 or not rare.size or not np.isfinite(rare).all():
        raise UserError("long-tail scores must be one finite number a sample")
    figure, axes = new_figure(7, 0.62 * num_scores + 1.6)
    edges = np.linspace(rare.min(), max(rare.max(), rare.min() + 1e-9), bins + 1)
    shares = np.zeros((num_scores, bins))
    for i in range(num_scores):
        count = np.histogram(rare[level == i], edges)[0]
        shares[i] = count / max(count.sum(), 1)
    tall = 0.92 / max(shares.max(), 1e-12)
    for i in range(num_scores):
        scores = rare[level == i]
        axes.axhline(i, color=MUTED, linewidth=0.6, zorder=1)
        label = f"{len(scores):,} sample{'s' * (len(scores) != 1)}"
        axes.annotate(
            label, (1, i), (4, 3), xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=9,
            color=SOFT if len(scores) else MUTED,
        )  # fmt: skip
        if not len(scores):
            continue
        axes.stairs(
            i + tall * shares[i], edges, baseline=i, fill=True, color=ACCENT, alpha=0.45, label=f"score {i}"
        )
        axes.stairs(i + tall * shares[i], edges, baseline=i, color=ACCENT, linewidth=0.9)
        low, middle, high = np.quantile(scores, [0.25, 0.5, 0.75])
        axes.plot([low, high], [i, i], color=INK, linewidth=3, solid_capstyle="butt", zorder=3)
        axes.plot(middle, i, "o", color="white", markeredgecolor=INK, markersize=6, zorder=4)
    axes.set_yticks(range(num_scores))
    axes.set_ylim(-0.25, num_scores)
    axes.set_xlim(edges[0], edges[-1])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("long-tail score (higher is rarer); dot and bar: median and quartiles")
    axes.set_ylabel("curated score")
    set_title(axes, title, note)
    return figure
