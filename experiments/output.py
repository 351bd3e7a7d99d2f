"""A result on the terminal and in files: Markdown, LaTeX (booktabs), CSV, SVG, PNG."""

from __future__ import annotations

from pathlib import Path

from ds2.base.paths import writing
from ds2.cli import console
from ds2.report import figures as plots
from ds2.report.table_text import LEGEND, latex, markdown, rich
from experiments.result import Result


def show(result: Result) -> None:
    """Print title, tables, caption and notes."""
    console.heading(result.title)
    for table in result.tables:
        console.show(rich(table))
    for text in [result.caption, *_legend(result), *result.notes]:
        console.line(text)


def write(result: Result, folder: Path) -> list[Path]:
    """`NAME.md`, `.tex` and `.csv` of each table, `NAME.svg` and `.png` of each figure, `README.md` with all;
    their paths.

    Raises:
        UserError: the folder cannot be written to.
    """
    with writing(folder):
        paths = [_save(folder / "README.md", page(result))]
        for table in result.tables:
            paths.append(_save(folder / f"{table.name}.md", markdown(table)))
            paths.append(_save(folder / f"{table.name}.tex", latex(table)))
            paths.append(_save(folder / f"{table.name}.csv", table.frame.to_csv(index=False)))
        for name, figure in result.figures.items():
            plots.save(figure, folder / name)
            paths += [folder / f"{name}.svg", folder / f"{name}.png"]
    return paths


def page(result: Result) -> str:
    """The whole result as Markdown, its figures beside it."""
    parts = [f"# {result.title}", result.caption]
    for table in result.tables:
        parts += [*([f"**{table.caption}**"] if table.caption else []), markdown(table).rstrip()]
    parts += [f"![{name}]({name}.svg)" for name in result.figures]
    parts += [*_legend(result), *result.notes]
    return "\n\n".join(part for part in parts if part) + "\n"


def _legend(result: Result) -> list[str]:
    return [LEGEND] if any(table.marks for table in result.tables) else []


def _save(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
