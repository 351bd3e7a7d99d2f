"""Where curation moved the scores: an alluvial diagram, given to curated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds2.base.errors import UserError
from ds2.report.figures.canvas import ACCENT, INK, MUTED, SOFT, WARM, new_figure, same_length, set_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAP = 0.05
"""Space between two levels, as a share of all samples: room for a line of text beside a thin one."""
LEFT, RIGHT, BLOCK = 0.0, 1.0, 0.025
STYLE = {
    "raised": (ACCENT, 0.7),
    "lowered": (WARM, 0.7),
    "kept": (MUTED, 0.45),
    "filled in": (SOFT, 0.6),
    "no score": (MUTED, 0.25),
}
"""Colour and opacity of a band by what it means."""


def score_flow(
    given: ArrayLike, curated: ArrayLike, num_scores: int, *, title: str = "", note: str = ""
) -> Figure:
    """Samples by given score (left) and curated score (right); a band is as thick as the samples that took
    that way.

    given, curated: (N,) integers 0..K-1, -1 for unrated. The vertical axis counts samples. Each band carries
    its way as its gid: `flow-2-3` went from 2 to 3.
    Unrated samples that were given a score are "filled in"; "no score" left curation without one.
    """
    ways = _count_ways(given, curated, num_scores)
    names = [*map(str, range(num_scores)), "unrated"]
    total = ways.sum()
    starts = [_stack(ways.sum(axis=1), total), _stack(ways.sum(axis=0), total)]
    figure, axes = new_figure(7, 4.6)
    # Within a level, bands leave in the order of where they go: none crosses another more than it must.
    left = starts[0][:, None] + np.cumsum(ways, axis=1) - ways
    right = starts[1][None, :] + np.cumsum(ways, axis=0) - ways
    moves = _moves(num_scores)
    for i, j in np.argwhere(ways > 0):
        colour, alpha = STYLE[moves[i, j]]
        # A white edge parts neighbouring bands; a band thinner than two of them would be all edge.
        edge = "white" if ways[i, j] > total / 150 else colour
        band = _band(left[i, j], right[i, j], ways[i, j], facecolor=colour, alpha=alpha, edgecolor=edge)
        band.set(gid=f"flow-{names[i]}-{names[j]}", zorder=1 if i == j else 1.5)
        axes.add_patch(band)
    for x, side, start in ((LEFT, ways.sum(axis=1), starts[0]), (RIGHT, ways.sum(axis=0), starts[1])):
        for i in np.flatnonzero(ways.sum(axis=1) + ways.sum(axis=0)):
            _level(axes, x, start[i], side[i], names[i], total)
    top = max(starts[0][-1], starts[1][-1]) + GAP * total * 1.6
    for x, side_name in ((LEFT, "given score"), (RIGHT, "curated score")):
        ha = "right" if x == LEFT else "left"
        at = x - BLOCK - 0.015 if x == LEFT else x + BLOCK + 0.015
        axes.text(at, top, side_name, ha=ha, va="bottom", fontsize=9.5, color=INK, fontweight="bold")
    _key(axes, {name: int(ways[moves == name].sum()) for name in STYLE}, total)
    axes.set_xlim(-0.36, 1.36)
    axes.set_ylim(-GAP * total * 0.6, top + GAP * total * 0.6)
    axes.axis("off")
    set_title(axes, title, note)
    return figure


def _count_ways(given: ArrayLike, curated: ArrayLike, K: int) -> NDArray[np.int64]:
    """Samples from each given to each curated score, (K + 1, K + 1); the last row and column are unrated."""
    before, after = np.asarray(given), np.asarray(curated)
    same_length(given=before, curated=after)
    if before.ndim != 1 or not before.size:
        raise UserError(f"given and curated must be one score a sample, got the shape {before.shape}")
    for name, scores in (("given", before), ("curated", after)):
        if scores.dtype.kind not in "iu" or scores.min() < -1 or scores.max() >= K:
            raise UserError(f"{name} scores must be integers 0 to {K - 1}, or -1 for unrated")
    flat = np.where(before < 0, K, before) * (K + 1) + np.where(after < 0, K, after)
    return np.bincount(flat, minlength=(K + 1) ** 2).reshape(K + 1, K + 1).astype(np.int64)


def _stack(sizes: NDArray[np.int64], total: int) -> NDArray[np.float64]:
    """Where each level begins, from 0 at the bottom upwards."""
    return np.asarray(np.cumsum(sizes) - sizes + GAP * total * np.arange(len(sizes)), dtype=np.float64)


def _moves(K: int) -> NDArray[np.object_]:
    """What each way means, a name of STYLE, (K + 1, K + 1)."""
    step = np.sign(np.subtract.outer(np.arange(K + 1), np.arange(K + 1)))
    moves: NDArray[np.object_] = np.array(["raised", "kept", "lowered"], dtype=object)[step + 1]
    moves[K, :] = "filled in"
    moves[:, K] = "no score"
    return moves


def _band(left: float, right: float, size: float, **look: Any) -> Any:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    a, b = LEFT + BLOCK, RIGHT - BLOCK
    middle = (a + b) / 2
    points = [
        (a, left), (middle, left), (middle, right), (b, right),
        (b, right + size), (middle, right + size), (middle, left + size), (a, left + size), (a, left),
    ]  # fmt: skip
    codes = [
        Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4, Path.LINETO, Path.CURVE4, Path.CURVE4,
        Path.CURVE4,
        Path.CLOSEPOLY,
    ]  # fmt: skip
    return PathPatch(Path(points, codes), linewidth=0.4, **look)


def _level(axes: Any, x: float, start: float, size: int, name: str, total: int) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle((x - BLOCK, start), 2 * BLOCK, size, color=INK, linewidth=0, gid=f"level-{name}")
    )
    outside, ha = (x - BLOCK - 0.015, "right") if x == LEFT else (x + BLOCK + 0.015, "left")
    label = (
        f"{name}   {size:,} ({_percent(size, total)})"
        if x == RIGHT
        else f"{size:,} ({_percent(size, total)})   {name}"
    )
    axes.text(outside, start + size / 2, label, ha=ha, va="center", fontsize=9.5, color=INK)


def _key(axes: Any, sizes: dict[str, int], total: int) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(
            facecolor=STYLE[name][0], alpha=STYLE[name][1], label=f"{name} {size:,} ({_percent(size, total)})"
        )
        for name, size in sizes.items()
        if size
    ]
    axes.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.01), ncols=4, frameon=False, fontsize=9.5
    )


def _percent(size: int, total: int) -> str:
    share = size / total
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"
