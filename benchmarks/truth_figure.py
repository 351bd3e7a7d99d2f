"""Figures of docs/truth.md.

`draw`: one row a rater, from the given scores to refine, and to the paper's method. `draw_share`: what a
rated share buys, and for how many dollars (`python benchmarks/truth_figure.py` writes it).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from truth_orders import GIVEN  # noqa: E402

from ds2.rating.rated_share import AS_GIVEN, QUALITY  # noqa: E402

if TYPE_CHECKING:
    from truth_measures import Row

PAPER = "paper: rank, then long tail"


def draw(rows: list[Row], path: Path) -> None:
    """Write PATH.svg."""
    value = {(r.set, r.rater, r.order): r.values[0] for r in rows}
    raters = [(r.set, r.rater) for r in rows if r.order == GIVEN]
    raters.sort(key=lambda k: (k[0], value[*k, GIVEN]))
    plt.rcParams.update({"svg.hashsalt": "ds2", "font.size": 8, "svg.fonttype": "none"})
    figure, axes = plt.subplots(figsize=(8, 0.17 * len(raters) + 1.2))
    for y, key in enumerate(raters):
        given, refined = value[*key, GIVEN], value[*key, "refine"]
        axes.plot([given, refined], [y, y], color="#0f766e" if refined >= given else "#c2410c", linewidth=1.6)
        if (*key, PAPER) in value:
            axes.plot(value[*key, PAPER], y, marker="x", color="#a8a29e", markersize=4, linestyle="")
        axes.plot(given, y, marker="o", color="#78716c", markersize=3.5, linestyle="")
        axes.plot(
            refined,
            y,
            marker="o",
            color="#0f766e" if refined >= given else "#c2410c",
            markersize=4.5,
            linestyle="",
        )
    axes.set_yticks(
        range(len(raters)),
        [f"{s.split('_')[0]}  {r.split(':', 1)[-1] if s.startswith('summ') else r}" for s, r in raters],
        fontsize=6,
    )
    for y in range(1, len(raters)):
        if raters[y][0] != raters[y - 1][0]:
            axes.axhline(y - 0.5, color="#e7e5e4", linewidth=0.8)
    axes.set_ylim(-1, len(raters))
    axes.set_xlabel("mean human rating of the top 10 %, in standard deviations")
    axes.set_title("grey dot: given scores   coloured dot: refine   cross: the paper's method", fontsize=8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    plt.close(figure)


def draw_share(path: Path, dollars: float, samples: int, rater: str) -> None:
    """Write PATH.svg. dollars: of rating `samples` of a pool once each."""
    plt.rcParams.update({"svg.hashsalt": "ds2", "font.size": 9, "svg.fonttype": "none"})
    figure, axes = plt.subplots(figsize=(6.4, 3.4))
    shares = sorted(QUALITY)
    axes.axhline(AS_GIVEN, color="#78716c", linewidth=1, linestyle=(0, (4, 3)))
    axes.text(
        1.0, AS_GIVEN - 0.012, "all rated, scores used as they are", color="#78716c", ha="right", va="top"
    )
    axes.plot(shares, [QUALITY[q] for q in shares], "o-", color="#0f766e", linewidth=1.8, markersize=5)
    for q in shares:
        axes.annotate(f"{QUALITY[q]:.2f}", (q, QUALITY[q]), (0, 8), textcoords="offset points", ha="center",
                      color="#0f766e")  # fmt: skip
    axes.set_xticks(shares, [f"{q:.0%}\n${dollars * q:,.2f}" for q in shares])
    axes.set_ylim(0.5, 1.02)
    axes.set_xlabel(f"share rated, and its price: {rater}, {samples:,} samples")
    axes.set_ylabel("human rating of the top 10 % (sd)")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    draw_share(ROOT / "docs" / "figures" / "rated_share", 6.34, 67_013, "gpt-4o-mini at list price")
