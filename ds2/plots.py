"""Figures as matplotlib objects, for trackers, docs and files. The report draws its own, interactive ones.

figure = transition_heatmap(matrix, prior, title="GPT-4o-mini")
save(figure, Path("transition"))      # transition.svg and transition.png
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MUTED, ACCENT = "#1c2b2d", "#a9b0ae", "#0b6e74"


def transition_heatmap(
    matrix: Sequence[Sequence[float]], prior: Sequence[float] | None = None, *, title: str = ""
) -> Figure:
    """A score transition matrix, P(rated | true) a row a true score, with the prior of the true scores in the labels."""
    levels = len(matrix)
    figure, axes = _figure(0.62 * levels + 1.6, 0.55 * levels + 1.2)
    axes.imshow(matrix, cmap="GnBu", vmin=0, vmax=1, aspect="auto")
    for i, row in enumerate(matrix):
        for j, value in enumerate(row):
            colour = "white" if value > 0.55 else INK
            axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(levels))
    labels = [str(i) if prior is None else f"{i}  (p {prior[i]:.2f})" for i in range(levels)]
    axes.set_yticks(range(levels), labels)
    axes.set_xlabel("rated")
    axes.set_ylabel("true")
    axes.set_title(title, loc="left", fontsize=10)
    return figure


def score_distribution(
    raw: Sequence[int], curated: Sequence[int] | None = None, *, title: str = ""
) -> Figure:
    """Samples at each score level, as rated and curated."""
    series = {"as rated": raw} | ({"curated": curated} if curated is not None else {})
    figure, axes = _bars([str(level) for level in range(len(raw))], series, title)
    axes.set_xlabel("score")
    axes.set_ylabel("samples")
    return figure


def composition(
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
    figure, axes = _figure(5, 3)
    axes.plot(step, loss, color=ACCENT, linewidth=1.4)
    axes.set_xlabel("optimiser step")
    axes.set_ylabel("loss")
    axes.set_title(title, loc="left", fontsize=10)
    return figure


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem`.svg and `stem`.png; the paths."""
    paths = [stem.with_suffix(".svg"), stem.with_suffix(".png")]
    for path in paths:
        figure.savefig(path, dpi=150, bbox_inches="tight")
    return paths


def to_image(figure: Figure) -> Any:
    """The figure as a PIL image."""
    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=120)
    return Image.open(buffer)


def _figure(width: float, height: float) -> tuple[Figure, Any]:
    # The object interface: no global state and no display, whatever the process has set up.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _bars(labels: Sequence[str], series: Mapping[str, Sequence[float]], title: str) -> tuple[Figure, Any]:
    figure, axes = _figure(max(4.0, 0.6 * len(labels) + 1.5), 3)
    width = 0.8 / len(series)
    for i, (name, values) in enumerate(series.items()):
        left = [x + (i - (len(series) - 1) / 2) * width for x in range(len(labels))]
        colour = ACCENT if i == len(series) - 1 else MUTED
        axes.bar(left, values, width, label=name, color=colour)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_title(title, loc="left", fontsize=10)
    axes.legend(frameon=False)
    return figure, axes


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) or 1
    return [count / total for count in counts]
