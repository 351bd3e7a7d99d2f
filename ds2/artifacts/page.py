"""The page of a run: `report.html`."""

from __future__ import annotations

from pathlib import Path

FILE = "report.html"


def write_page(folder: Path, html: str) -> Path:
    """Write the page; its path."""
    path = folder / FILE
    path.write_text(html, encoding="utf-8")
    return path
