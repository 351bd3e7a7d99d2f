"""What every figure shares: palette, an empty figure, files.

Teal says "ours" or "raised", orange "lowered" or "too sure", grey the rest. Teal and orange differ in
lightness and stay apart under the common colour blindnesses; the ramps change in lightness only.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds2.base.errors import UserError
from ds2.base.notebook import RAMP as RAMP
from ds2.base.words import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, SOFT, MUTED, FAINT = "#1c2b2d", "#5b6766", "#a9b0ae", "#e6e9e7"
ACCENT, WARM = "#0b6e74", "#d9822b"


def new_figure(width: float, height: float, **grid: Any) -> tuple[Figure, Any]:
    """A figure of `width` x `height` inches and its axes: one, or the array of `Figure.subplots(**grid)`."""
    # The object interface: no global state and no display, whatever the process has set up.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(**grid)
    for each in np.ravel(axes):
        each.spines[["top", "right"]].set_visible(False)
        each.spines[["left", "bottom"]].set_color(MUTED)
        each.tick_params(color=MUTED, labelcolor=INK, labelsize=9)
        each.xaxis.label.set_color(INK)
        each.yaxis.label.set_color(INK)
    return figure, axes


def as_text(words: Iterable[str]) -> list[str]:
    """Words of data as labels: control codes, which no font has, are spelt out. To be drawn with
    `parse_math=False`, for they may hold dollars.
    """
    return [printable(word) for word in words]


def set_title(axes: Any, title: str, note: str = "") -> None:
    """`title`, and a quieter line beneath it where there is a `note`."""
    plain = {"parse_math": False}  # names of data and models may hold dollars
    pad = 22 if note else 8
    title, note = as_text((title, note))
    axes.set_title(title, loc="left", fontsize=10.5, color=INK, fontweight="bold", pad=pad, **plain)
    if note:
        axes.annotate(
            note, (0, 1), (0, 7), xycoords="axes fraction", textcoords="offset points",
            fontsize=9, color=SOFT, **plain,
        )  # fmt: skip


def set_caption(figure: Figure, text: str) -> None:
    """A quiet line beneath everything: what a figure must say wherever it is shown."""
    figure.supxlabel(text, x=0.01, ha="left", fontsize=8.5, color=SOFT)


def legend_beneath(axes: Any, columns: int, *, drop: float = 0.2, **more: Any) -> None:
    """The legend under the axes, where it can cover no data; drop: how far, in heights of the axes."""
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -drop), ncols=columns, frameon=False, fontsize=9, **more
    )


def thousands(axis: Any) -> None:
    """Tick labels as 12,000."""
    axis.set_major_formatter("{x:,.0f}")


def percent(axis: Any) -> None:
    """Tick labels of shares as 12 %."""
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))


def shares_in(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """`values` as (N,) floats in [0, 1], or a UserError that names them."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size:
        raise UserError(f"{name} must be one number a sample, got the shape {array.shape}")
    if not ((array >= 0) & (array <= 1 + 1e-9)).all():  # float sums of a posterior may pass 1 by an ulp
        raise UserError(f"{name} must lie in 0 to 1, got {array.min():g} to {array.max():g}")
    return array.clip(0, 1)


def same_length(**arrays: NDArray[Any]) -> None:
    """A UserError where two of the arrays differ in shape."""
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        raise UserError(
            "these must have one shape: " + ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        )


def save(figure: Figure, stem: Path, *, formats: Sequence[str] = ("svg", "png")) -> list[Path]:
    """Write `stem`.svg and `stem`.png; the paths. An SVG holds no date: the same figure is the same file."""
    from matplotlib import rc_context

    paths = [stem.with_name(f"{stem.name}.{suffix}") for suffix in formats]
    with rc_context({"svg.hashsalt": "ds2"}):
        for path in paths:
            metadata = {"Date": None} if path.suffix == ".svg" else None
            figure.savefig(path, dpi=150, bbox_inches="tight", metadata=metadata)
    return paths


def to_image(figure: Figure) -> Any:
    """The figure as a PIL image."""
    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=120)
    return Image.open(buffer)
