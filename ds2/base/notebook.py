"""What objects show of themselves in a notebook: small HTML tables, and a matrix of shares as a heatmap.

Colours come inline, for a notebook keeps no style sheet; every cell of a heatmap has its number too.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

RAMP = ("#f6f9f8", "#a5d3d0", "#2b8386", "#0b5f65", "#063f43")
"""Light to dark teal, for shares from 0 to 1: it changes in lightness, so that every eye can order it."""
_DARK = 0.505
"""Share above which white is read better than black."""


_CODE = re.compile("`([^`]+)`")


def prose(text: str) -> str:
    """A paragraph of text, escaped; what stands between backticks is code."""
    coded = _CODE.sub(r"<code>\1</code>", html.escape(text))
    return f"<p>{coded}</p>" if coded else ""


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of texts, escaped; to the left, where notebooks have numbers to the right."""
    lines = ["".join(_text("th", cell) for cell in head)]
    lines += ["".join(_text("td", cell) for cell in row) for row in rows]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _text(tag: str, cell: object) -> str:
    return f"<{tag} style='text-align:left'>{html.escape(str(cell))}</{tag}>"


def heatmap(matrix: Sequence[Sequence[float]], *, row: str, column: str, caption: str = "") -> str:
    """A (K, K) matrix of shares in 0..1 as a small table, darker for more; the diagonal is framed.

    row, column: what stands in a row and in a column, for the corner and for screen readers.
    """
    levels = range(len(matrix))
    corner = f"<th style='font-weight:normal'>{html.escape(row)} \\ {html.escape(column)}</th>"
    head = corner + "".join(f"<th scope='col' style='text-align:center'>{level}</th>" for level in levels)
    lines = [f"<tr>{head}</tr>"]
    for i, shares in enumerate(matrix):
        cells = "".join(_cell(share, framed=i == j) for j, share in enumerate(shares))
        lines.append(f"<tr><th scope='row'>{i}</th>{cells}</tr>")
    said = f"<caption style='text-align:left'>{html.escape(caption)}</caption>" if caption else ""
    return f"<table style='border-collapse:collapse'>{said}{''.join(lines)}</table>"


def _cell(share: float, *, framed: bool) -> str:
    ink = "#ffffff" if share > _DARK else "#000000"
    border = "2px solid #1c2b2d" if framed else "1px solid #ffffff"
    style = f"background:{shade(share)};color:{ink};border:{border};padding:3px 7px;text-align:right"
    return f"<td style='{style}'>{share:.2f}</td>"


def shade(share: float) -> str:
    """The colour of a share in 0..1 on `RAMP`, `#rrggbb`."""
    place = min(max(share, 0.0), 1.0) * (len(RAMP) - 1)
    low, high = list(pairwise(RAMP))[min(int(place), len(RAMP) - 2)]
    part = place - min(int(place), len(RAMP) - 2)
    mixed = (round((1 - part) * a + part * b) for a, b in zip(_rgb(low), _rgb(high), strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
