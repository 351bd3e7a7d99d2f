"""The notebooks of docs/notebooks run from top to bottom, and show what their stored outputs show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ds2.base.paths import project_root

nbformat = pytest.importorskip("nbformat", reason="a notebook needs nbclient and ipykernel")
pytest.importorskip("nbclient", reason="a notebook needs nbclient and ipykernel")
pytest.importorskip("ipykernel", reason="a notebook needs nbclient and ipykernel")

from helpers.notebooks import NOTEBOOKS, execute  # noqa: E402

LARGEST = 64 * 1024
"""Bytes of a notebook with its outputs."""


def shown(notebook: nbformat.NotebookNode) -> Iterator[tuple[int, str, list[str]]]:
    """Each output: its cell, its kind, and the headings of its tables."""
    for position, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            page = output.get("data", {}).get("text/html", "")
            headings = [re.sub(r"<[^>]+>", "", text) for text in re.findall(r"<th\b[^>]*>(.*?)</th>", page)]
            yield position, output["output_type"], headings


def check(path: Path, folder: Path) -> None:
    stored, now = nbformat.read(path, as_version=4), execute(path, folder)
    assert list(shown(now)) == list(shown(stored)), f"make notebooks writes {path.name} anew"


def test_the_notebook_that_curates_a_file_runs(tmp_path):
    check(project_root() / "docs" / "notebooks" / "curate.ipynb", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if path.stem != "curate"], ids=lambda p: p.stem)
def test_each_other_notebook_runs(path, tmp_path):
    check(path, tmp_path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_are_small_without_errors_and_of_no_machine(path):
    notebook = nbformat.read(path, as_version=4)
    assert path.stat().st_size < LARGEST
    assert [kind for _, kind, _ in shown(notebook) if kind == "error"] == []
    assert not re.search(r"(?<![\w.])/(tmp|home|root|work|Users)/", path.read_text(encoding="utf-8"))
    assert all(cell.outputs for cell in notebook.cells if cell.cell_type == "code")
