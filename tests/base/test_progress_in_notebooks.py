"""Progress in a real kernel of Jupyter, as a cell shows it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ds2.base.paths import project_root

nbformat = pytest.importorskip("nbformat", reason="a notebook needs nbclient and ipykernel")
pytest.importorskip("ipykernel", reason="a notebook needs nbclient and ipykernel")

WORK = """
import time, warnings
warnings.simplefilter("default")
from ds2.base.progress import Bar, clock
Bar.SILENCE = .1
with clock("all of it"):
    time.sleep(.3)
    with Bar(range(400), desc="counted", unit="sample") as bar:
        for _ in bar:
            time.sleep(.004)
print("done")
"""


def lines_of(text: str) -> list[str]:
    """What a notebook shows: a carriage return goes back to the beginning of a line."""
    return [line.rpartition("\r")[2] for line in text.replace("\r\n", "\n").split("\n")]


def cell_of(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nbformat.NotebookNode:
    """What a cell shows, run in a kernel."""
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(project_root()), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    cell = nbformat.v4.new_code_cell(code)
    NotebookClient(nbformat.v4.new_notebook(cells=[cell]), timeout=150, kernel_name="python3").execute()
    return cell


@pytest.mark.timeout(200)
def test_a_bar_of_less_than_a_second_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cell = cell_of("from ds2.base.progress import Bar\nfor _ in Bar(range(9)): pass", tmp_path, monkeypatch)
    assert cell.outputs == []


@pytest.mark.timeout(200)
def test_two_bars_are_one_line_that_is_seldom_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cell = cell_of(WORK, tmp_path, monkeypatch)
    shown = "".join(output.text for output in cell.outputs if output.name == "stderr")
    assert "\x1b" not in shown
    assert "Warning" not in shown
    drawn = shown.count("\r")
    assert 2 <= drawn < 60, shown
    (bar,) = [line for line in lines_of(shown) if line.strip()]
    assert bar.startswith("counted: 100%")
    assert "".join(output.text for output in cell.outputs if output.name == "stdout") == "done\n"
