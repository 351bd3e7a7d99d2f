"""Figures of a run: score levels, what the subset is made of, the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ds2.report.figures.canvas import ACCENT, MUTED, as_text, new_figure, set_title, thousands

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def score_distribution(
    raw: Sequence[int], curated: Sequence[int] | None = None, *, title: str = ""
) -> Figure:
    """Samples at each score level, as rated and curated."""
    series = {"as rated": raw} | ({"curated": curated} if curated is not None else {})
    figure, axes = _bars([str(level) for level in range(len(raw))], series, title)
    axes.set_xlabel("score")
    axes.set_ylabel("samples")
    thousands(axes.yaxis)
    return figure


def category_shares(
    labels: Sequence[str], pool: Sequence[int] | None, subset: Sequence[int], *, title: str = ""
) -> Figure:
    """Shares of each label in the pool and in the subset."""
    series = ({"pool": _shares(pool)} if pool is not None else {}) | {"subset": _shares(subset)}
    figure, axes = _bars(labels, series, title)
    axes.set_ylabel("share")
    axes.tick_params(axis="x", rotation=35 if len(labels) > 6 else 0)
    return figure


def learning_curve(step: Sequence[int], loss: Sequence[float], *, title: str = "") -> Figure:
    """Loss by optimiser step."""
    figure, axes = new_figure(5, 3)
    axes.plot(step, loss, color=ACCENT, linewidth=1.4)
    axes.set_xlabel("optimiser step")
    axes.set_ylabel("loss")
    set_title(axes, title)
    return figure


def _bars(labels: Sequence[str], series: Mapping[str, Sequence[float]], title: str) -> tuple[Figure, Any]:
    figure, axes = new_figure(max(4.0, 0.6 * len(labels) + 1.5), 3)
    width = 0.8 / len(series)
    for i, (name, values) in enumerate(series.items()):
        left = [x + (i - (len(series) - 1) / 2) * width for x in range(len(labels))]
        colour = ACCENT if i == len(series) - 1 else MUTED
        axes.bar(left, values, width, label=name, color=colour)
    axes.set_xticks(
        range(len(labels)), as_text(labels), parse_math=False
    )  # words of data, whatever they hold
    set_title(axes, title)
    axes.legend(frameon=False)
    return figure, axes


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) or 1
    return [count / total for count in counts]
