"""How a rater errs: score transition matrices, P(rated | true), one or side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds2.base.errors import UserError
from ds2.report.figures.canvas import INK, MUTED, RAMP, new_figure, set_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def transition_heatmap(
    matrix: ArrayLike, prior: ArrayLike | None = None, *, title: str = "", note: str = ""
) -> Figure:
    """A score transition matrix, P(rated | true): a row a true score, a column a rated one, as in the paper's
    Figure 3.

    matrix: (K, K). prior: (K,), the shares of the true scores, said in the rows' labels. The diagonal is
    framed.
    """
    T = _square(matrix)
    p = None if prior is None else np.asarray(prior, dtype=np.float64)
    if p is not None and p.shape != T.shape[:1]:
        raise UserError(f"the prior must have {len(T)} entries, one a row of the matrix, got {p.shape}")
    levels = len(T)
    figure, axes = new_figure(0.68 * levels + 1.9, 0.5 * levels + 1.5)
    _draw(axes, T, digits=9.5)
    axes.set_yticks(range(levels), [str(i) if p is None else f"{i}  (p {p[i]:.2f})" for i in range(levels)])
    axes.set_xlabel("rated score")
    axes.set_ylabel("true score" if p is None else "true score (p, its share)")
    set_title(axes, title, note)
    return figure


def transition_grid(rows: Mapping[str, Mapping[str, ArrayLike]]) -> Figure:
    """Several transition matrices side by side: row label -> column label -> (K, K); the same columns in
    every row.
    """
    columns = list(next(iter(rows.values()), {}))
    if not columns or any(list(row) != columns for row in rows.values()):
        raise UserError("a grid of matrices needs the same columns, at least one, in every row")
    matrices = {
        row: {column: _square(T) for column, T in by_column.items()} for row, by_column in rows.items()
    }
    levels = len(next(iter(matrices[next(iter(rows))].values())))
    side = 0.44 * levels
    figure, grid = new_figure(
        (side + 0.35) * len(columns) + 0.6, (side * 0.82 + 0.45) * len(rows) + 0.3, nrows=len(rows),
        ncols=len(columns), sharex=True, sharey=True, squeeze=False,
    )  # fmt: skip
    for axes, column in zip(grid[0], columns, strict=True):
        set_title(axes, column)
    for (row, by_column), line in zip(matrices.items(), grid, strict=True):
        for axes, T in zip(line, by_column.values(), strict=True):
            _draw(axes, T, digits=8)
        line[0].set_ylabel(f"{row}\ntrue score")
    for axes in grid[-1]:
        axes.set_xlabel("rated score")
    return figure


def _draw(axes: Any, T: NDArray[np.float64], *, digits: float) -> None:
    """One matrix on `axes`, its numbers `digits` points tall."""
    from matplotlib.colors import LinearSegmentedColormap

    levels = len(T)
    ramp = LinearSegmentedColormap.from_list("ds2", RAMP)
    edges = np.arange(levels + 1) - 0.5
    axes.pcolormesh(edges, edges, T, cmap=ramp, vmin=0, vmax=1, edgecolors="white", linewidth=1.5)
    for (i, j), value in np.ndenumerate(T):
        colour = "white" if value > 0.46 else INK if value >= 0.005 else MUTED
        axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=digits, color=colour)
    for i in range(levels):
        axes.plot(
            [i - 0.5, i + 0.5, i + 0.5, i - 0.5, i - 0.5],
            [i - 0.5, i - 0.5, i + 0.5, i + 0.5, i - 0.5],
            color=INK,
            linewidth=0.8,
        )
    axes.set_xlim(-0.52, levels - 0.48)
    axes.set_ylim(levels - 0.48, -0.52)
    axes.set_xticks(range(levels))
    axes.set_yticks(range(levels))
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)


def _square(matrix: ArrayLike) -> NDArray[np.float64]:
    T = np.asarray(matrix, dtype=np.float64)
    if T.ndim != 2 or T.shape[0] != T.shape[1]:
        raise UserError(f"a transition matrix is square, got the shape {T.shape}")
    if not (np.isfinite(T) & (T >= 0)).all():
        raise UserError("a transition matrix holds shares: an entry is NaN, infinite or negative")
    return T
