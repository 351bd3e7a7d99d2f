"""One table in every form a page takes: terminal, Markdown, LaTeX (booktabs); its numbers for a CSV.

Kept beside pandas' own writers: the mark of a cell (best, tied) must stand alike in all three, and escape
alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table as RichTable
from rich.text import Text

BEST, TIED = "best", "tied"
"""Marks of a cell: the best of its column, and what cannot be told apart from the best."""
LEGEND = (
    "bold: best; †: not distinguishable from the best (the interval of their difference includes 0, or no "
    "run of theirs can be paired)"
)
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "−": "$-$", "†": r"$^\dagger$",
}  # fmt: skip
_LATEX_SPECIAL = re.compile("|".join(map(re.escape, _LATEX)))


@dataclass(frozen=True)
class Table:
    """One table: numbers for the CSV, text for every page."""

    name: str
    """File name, without an ending."""
    frame: pd.DataFrame
    """What `NAME.csv` holds, unrounded."""
    caption: str = ""
    formats: Mapping[str, str] = field(default_factory=dict)
    """Column -> format specification (`.2f`, `,`, `.1%`); a column without one is shown as it is."""
    shown: pd.DataFrame | None = None
    """The text of each cell where it is not `frame` formatted (it may have other rows and columns)."""
    marks: Mapping[tuple[int, str], str] = field(default_factory=dict)
    """(row number, column) of the text -> BEST or TIED."""
    right: tuple[str, ...] = ()
    """Columns of text that are aligned to the right, as columns of numbers are."""

    @cached_property
    def text(self) -> pd.DataFrame:
        """Every cell as text; an empty one where there is no value."""
        if self.shown is not None:
            return self.shown.astype(object)
        columns = {
            name: [_formatted(value, self.formats.get(str(name), "")) for value in self.frame[name]]
            for name in self.frame
        }
        return pd.DataFrame(columns, dtype=object)

    def numeric(self, column: str) -> bool:
        """Whether a column is aligned to the right."""
        return column in self.right or (
            column in self.frame and pd.api.types.is_numeric_dtype(self.frame[column])
        )


def rich(table: Table) -> RichTable:
    """For the terminal."""
    text = table.text
    drawn = RichTable(title=table.caption or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in text:
        right = table.numeric(str(name))
        drawn.add_column(str(name), justify="right" if right else "left", no_wrap=not right, overflow="fold")
    for i, row in enumerate(text.itertuples(index=False)):
        cells = []
        for name, value in zip(text, row, strict=True):
            mark = table.marks.get((i, str(name)))
            cells.append(Text(_marked(value, mark), style="bold" if mark == BEST else ""))
        drawn.add_row(*cells)
    return drawn


def markdown(table: Table) -> str:
    """For a README."""
    text = table.text
    rule = ["---:" if table.numeric(str(name)) else "---" for name in text]
    lines = [list(map(str, text.columns)), rule]
    for i, row in enumerate(text.itertuples(index=False)):
        cells = []
        for name, value in zip(text, row, strict=True):
            mark = table.marks.get((i, str(name)))
            escaped = _marked(value, mark).replace("|", "\\|")
            cells.append(f"**{escaped}**" if mark == BEST else escaped)
        lines.append(cells)
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def latex(table: Table) -> str:
    """A `tabular` for the package booktabs."""
    text = table.text
    columns = "".join("r" if table.numeric(str(name)) else "l" for name in text)
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _latex_row(map(_tex, map(str, text.columns)))]
    lines.append(r"\midrule")
    for i, row in enumerate(text.itertuples(index=False)):
        cells = []
        for name, value in zip(text, row, strict=True):
            mark = table.marks.get((i, str(name)))
            escaped = _tex(_marked(value, mark))
            cells.append(rf"\textbf{{{escaped}}}" if mark == BEST else escaped)
        lines.append(_latex_row(cells))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _latex_row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _tex(text: str) -> str:
    return _LATEX_SPECIAL.sub(lambda special: _LATEX[special.group()], text)


def _marked(value: object, mark: str | None) -> str:
    return f"{value}†" if mark == TIED else str(value)


def _formatted(value: Any, specification: str) -> str:
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return ""
    return format(value, specification)
