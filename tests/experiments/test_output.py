"""A result as terminal text, Markdown, LaTeX and CSV: all say the same, nothing breaks on odd text."""

from __future__ import annotations

import pandas as pd
import pytest

from ds2.base.errors import UserError
from ds2.report import figures as plots
from ds2.report import table_text as tabular
from experiments import output
from experiments.result import BEST, TIED, Result, Table

FRAME = pd.DataFrame({"method": ["a_b", "c|d"], "share": [0.5, None], "count": [12345, 2]})


@pytest.fixture
def table() -> Table:
    marks = {(0, "share"): BEST, (1, "count"): TIED}
    return Table("shares", FRAME, "Shares of 100 %", {"share": ".1%", "count": ","}, marks=marks)


def test_markdown_formats_marks_and_escapes(table):
    assert tabular.markdown(table).splitlines() == [
        "| method | share | count |",
        "| --- | ---: | ---: |",
        "| a_b | **50.0%** | 12,345 |",
        "| c\\|d |  | 2† |",
    ]


def test_latex_is_a_booktabs_tabular_with_escaped_text(table):
    lines = tabular.latex(table).splitlines()
    assert lines[:3] == [r"\begin{tabular}{lrr}", r"\toprule", r"method & share & count \\"]
    assert r"a\_b & \textbf{50.0\%} & 12,345 \\" in lines
    assert r"c|d &  & 2$^\dagger$ \\" in lines


def test_files_hold_every_table_and_figure_and_csv_is_unrounded(table, tmp_path):
    figure, axes = plots.canvas.new_figure(2, 1)
    axes.plot([0, 1])
    paths = output.write(Result("Title", "Caption.", [table], {"line": figure}), tmp_path / "new")
    names = {"README.md", "shares.md", "shares.tex", "shares.csv", "line.svg", "line.png"}
    assert {path.name for path in paths} == names
    assert all(path.stat().st_size > 0 for path in paths)
    assert pd.read_csv(tmp_path / "new" / "shares.csv")["share"][0] == 0.5
    page = (tmp_path / "new" / "README.md").read_text()
    for part in ("# Title", "Caption.", "Shares of 100 %", "![line](line.svg)", tabular.LEGEND):
        assert part in page


def test_the_terminal_shows_title_caption_notes_and_marks(table, capsys):
    output.show(Result("Title", "Caption.", [table], notes=["A note [1]."]))
    out = capsys.readouterr().out
    for part in ("Title", "Caption.", "A note [1].", "50.0%", "2†"):
        assert part in out


def test_a_folder_that_cannot_be_written_is_one_line(table, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to"):
        output.write(Result("t", "c", [table]), tmp_path / "file")
