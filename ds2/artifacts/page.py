"""The page of a run, or of many: one HTML file that needs no other."""

from __future__ import annotations

from pathlib import Path


def html(folder: Path) -> Path:
    """Where the page stands."""
    return folder / "report.html"


def write_page(folder: Path, text: str) -> Path:
    """Write the page; its path."""
    path = html(folder)
    path.write_text(text, encoding="utf-8")
    return path
