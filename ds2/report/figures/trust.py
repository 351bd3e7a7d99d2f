"""How far to trust a curation: its confidence against the truth, its selection against another sample of the
pool.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds2.base.errors import UserError
from ds2.report.figures.canvas import (
    ACCENT,
    INK,
    MUTED,
    SOFT,
    WARM,
    legend_beneath,
    new_figure,
    percent,
    same_length,
    set_title,
    shares_in,
    thousands,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = (ACCENT, WARM, SOFT, MUTED)
"""Colours of the curves in one figure, in order."""


@dataclass(frozen=True)
class Calibration:
    """Confidence against the truth, by bin of confidence; bins without a sample are left out."""

    edges: NDArray[np.float64]
    """Where the bins that hold samples begin, (B,)."""
    count: NDArray[np.int64]
    """Samples, (B,)."""
    said: NDArray[np.float64]
    """Mean confidence, (B,)."""
    right: NDArray[np.float64]
    """Share that is right, (B,)."""

    @property
    def error(self) -> float:
        """Expected calibration error: the mean of |said - right| over samples."""
        return float(np.average(np.abs(self.said - self.right), weights=self.count))

    def interval(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Wilson's 95 % interval of `right`, for samples that are right or wrong independently."""
        z, n = 1.96, self.count
        middle = (self.right + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z * np.sqrt(self.right * (1 - self.right) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
        return middle - half, middle + half


def calibrate(confidence: ArrayLike, right: ArrayLike, *, bins: int = 10) -> Calibration:
    """Bin samples by confidence, (N,) in [0, 1]; right: (N,) bool."""
    sure, hit = shares_in("confidence", confidence), np.asarray(right, dtype=bool)
    same_length(confidence=sure, right=hit)
    index = np.minimum((sure * bins).astype(np.int64), bins - 1)
    count = np.bincount(index, minlength=bins)
    held = np.flatnonzero(count)
    return Calibration(
        edges=held / bins,
        count=count[held],
        said=np.bincount(index, weights=sure, minlength=bins)[held] / count[held],
        right=np.bincount(index, weights=hit, minlength=bins)[held] / count[held],
    )


def reliability(
    panels: Mapping[str, tuple[ArrayLike, ArrayLike]], *, bins: int = 10, title: str = ""
) -> Figure:
    """Does a confidence of .8 mean right four times in five? A panel a pool whose truth is known.

    panels: name -> confidence (N,) in [0, 1], right (N,) bool. Above: share right against mean confidence of
    each bin with 95 % intervals; orange stems hang below the diagonal where the scores are less often right
    than said, teal ones rise where they are right more often. Beneath: samples in each bin.
    """
    if not panels:
        raise UserError("reliability needs at least one pool")
    figure, grid = new_figure(
        max(3.6, 3.5 * len(panels)), 4.6, nrows=2, ncols=len(panels), height_ratios=(3.2, 1), sharex=True,
        squeeze=False, sharey="row",
    )  # fmt: skip
    for (name, (confidence, right)), (above, beneath) in zip(panels.items(), grid.T, strict=True):
        calibration = calibrate(confidence, right, bins=bins)
        _calibration(above, calibration)
        said, was = float(np.mean(np.asarray(confidence))), float(np.mean(np.asarray(right)))
        set_title(above, name, f"said {said:.2f}, right {was:.2f}; mean gap {calibration.error:.2f}")
        width = 1 / bins
        beneath.bar(
            calibration.edges,
            calibration.count,
            width,
            align="edge",
            color=MUTED,
            edgecolor="white",
            linewidth=0.8,
        )
        beneath.set_xlim(0, 1)
        beneath.set_xticks(np.linspace(0, 1, 6), ["0", "0.2", "0.4", "0.6", "0.8", "1"])
        beneath.set_xlabel("confidence (probability)")
        thousands(beneath.yaxis)
    grid[0, 0].legend(frameon=False, loc="upper left", fontsize=8.5, labelcolor=SOFT)
    grid[0, 0].set_ylabel("share of scores that are right")
    grid[1, 0].set_ylabel("samples")
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, color=INK, fontweight="bold")
    return figure


def _calibration(axes: Any, calibration: Calibration) -> None:
    axes.plot(
        [0, 1], [0, 1], color=SOFT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1, label="as often as said"
    )
    low, high = calibration.interval()
    colours = np.where(calibration.right < calibration.said, WARM, ACCENT)
    axes.vlines(
        calibration.said,
        calibration.said,
        calibration.right,
        colors=colours,
        linewidth=5,
        alpha=0.35,
        zorder=2,
    )
    axes.vlines(calibration.said, low, high, colors=colours, linewidth=1.3, zorder=3)
    axes.scatter(
        calibration.said, calibration.right, c=colours, s=30, edgecolors="white", linewidths=0.7, zorder=4
    )
    axes.set_ylim(0, 1.02)
    axes.set_yticks(np.linspace(0, 1, 6))


def stability_curve(
    budgets: ArrayLike, overlap: Mapping[str, ArrayLike], pool_size: int, *, title: str = "", note: str = ""
) -> Figure:
    """How much of a selection another sample of the pool would choose too, against the budget, beside chance.

    budgets: (B,) samples chosen, `Uncertainty.stability_budgets`. overlap: name -> (B,) expected shares of
    the subset that two resamples have in common, `Uncertainty.stability`; at most four, and the numbers are
    printed for two. Two random subsets of size m share m / N: the dashed line.
    """
    if not 1 <= len(overlap) <= len(COLOURS):
        raise UserError(f"stability_curve draws 1 to {len(COLOURS)} curves, got {len(overlap)}")
    size = np.asarray(budgets, dtype=np.float64)
    figure, axes = new_figure(7, 3.6)
    share = size / pool_size
    if size.ndim != 1 or not size.size or (share <= 0).any() or (share > 1).any():
        raise UserError(f"budgets must be numbers of samples between 1 and the pool's {pool_size:,}")
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.9, linestyle=(0, (4, 3)))
    end = min(1.0, float(share.max()) * 1.16)
    axes.text(
        end * 0.985, end * 0.985, "two random subsets", color=SOFT, fontsize=9, ha="right", va="bottom",
        rotation=0,
    )  # fmt: skip
    for (name, values), colour, offset in zip(overlap.items(), COLOURS, (8, -15, None, None), strict=False):
        both = shares_in(f"overlap of {name}", values)
        same_length(budgets=size, overlap=both)
        axes.plot(share, both, "o-", color=colour, linewidth=1.8, markersize=5.5, label=name)
        if len(overlap) > 2:
            continue  # numbers of more curves than one above and one below would overprint
        for x, y in zip(share, both, strict=True):
            axes.annotate(
                f"{y:.2f}", (x, y), (0, offset), textcoords="offset points", ha="center", fontsize=8.5,
                color=colour,
            )  # fmt: skip
    legend_beneath(axes, len(overlap), drop=0.32)
    axes.set_xticks(share, [f"{m:,.0f}\n{s:.0%}" for m, s in zip(size, share, strict=True)])
    axes.set_xlim(0, end)
    axes.set_ylim(0, 1.12)
    percent(axes.yaxis)
    axes.set_xlabel(f"budget (samples, and share of the {pool_size:,} in the pool)")
    axes.set_ylabel("expected overlap\n(share of the subset)")
    set_title(axes, title, note)
    return figure
