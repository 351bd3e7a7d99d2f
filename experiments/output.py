"""A result on the terminal and in files: Markdown, LaTeX (booktabs), CSV, SVG, PNG."""

from __future__ import annotations

import re
from pathlib import Path

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from ds2 import console, plots
from ds2.errors import UserError
from experiments.result import BEST, TIED, Result, Table

LEGEND = "bold: best of its column; †: not distinguishable from the best"
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "−": "$-$", "†": r"$^\dagger$",
}  # fmt: skip
_LATEX_SPECIAL = re.compile("|".join(map(re.escape, _LATEX)))


def show(result: Result) -> None:
    """Print title, tables, caption and notes."""
    console.heading(result.title)
    for table in result.tables:
        console.show(rich(table))
    for text in [result.caption, *_legend(result), *result.notes]:
        console.line(text)


def write(result: Result, folder: Path) -> list[Path]:
    """`NAME.md`, `.tex` and `.csv` of each table, `NAME.svg` and `.png` of each figure, `README.md` with all; their paths.

    Raises:
        UserError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [_save(folder / "README.md", page(result))]
        for table in result.tables:
            paths.append(_save(folder / f"{table.name}.md", markdown(table)))
            paths.append(_save(folder / f"{table.name}.tex", latex(table)))
            paths.append(_save(folder / f"{table.name}.csv", table.frame.to_csv(index=False)))
        for name, figure in result.figures.items():
            plots.save(figure, folder / name)
            paths += [folder / f"{name}.svg", folder / f"{name}.png"]
    except OSError as error:
        raise UserError(f"cannot write to --out {folder}: {error.strerror or error}") from error
    return paths


def page(result: Result) -> str:
    """The whole result as Markdown, its figures beside it."""
    parts = [f"# {result.title}", result.caption]
    for table in result.tables:
        parts += [*([f"**{table.caption}**"] if table.caption else []), markdown(table).rstrip()]
    parts += [f"![{name}]({name}.svg)" for name in result.figures]
    parts += [*_legend(result), *result.notes]
    return "\n\n".join(part for part in parts if part) + "\n"


def rich(table: Table) -> RichTable:
    """For the terminal."""
    text = table.text
    drawn = RichTable(title=table.caption or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(text):
        right = _aligned_right(table, str(name))
        drawn.add_column(str(name), justify="right" if right else "left", no_wrap=i > 0, overflow="fold")
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
    rule = ["---:" if _aligned_right(table, str(name)) else "---" for name in text]
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
    columns = "".join("r" if _aligned_right(table, str(name)) else "l" for name in text)
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


def _latex_row(cells: object) -> str:
    return " & ".join(cells) + r" \\"  # type: ignore[call-overload]


def _tex(text: str) -> str:
    return _LATEX_SPECIAL.sub(lambda found: _LATEX[found.group()], text)


def _marked(value: object, mark: str | None) -> str:
    return f"{value}†" if mark == TIED else str(value)


def _legend(result: Result) -> list[str]:
    return [LEGEND] if any(table.marks for table in result.tables) else []


def _aligned_right(table: Table, column: str) -> bool:
    return table.numeric(column) or any(name == column for _, name in table.marks)


def _save(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
