"""What the command prints: text from data is text, in every line and table."""

from __future__ import annotations

import pytest
from rich.table import Table

from ds2.cli import console

HOSTILE = "\x1b[2J\x1b]0;title\x07[bold]x[/]"
SHOWN = r"\x1b[2J\x1b]0;title\x07[bold]x[/]"


def test_control_codes_in_text_never_reach_the_terminal(capsys):
    for say in (console.line, console.error, console.warning, console.heading):
        say(HOSTILE)
        out = "".join(capsys.readouterr())
        assert SHOWN in out
        assert "\x1b[2J" not in out
        assert "\x07" not in out


def test_control_codes_in_a_table_are_spelt_out(capsys):
    table = Table("name\x1b[2J")
    table.add_row("a\x1b[31m")
    console.show(table)
    out = capsys.readouterr().out
    assert r"a\x1b[31m" in out
    assert "\x1b[31m" not in out.replace(r"\x1b", "")


@pytest.mark.parametrize("count", [3, 300])
def test_a_table_of_any_length_aligns_its_columns(capsys, count):
    console.columns(("name", "size"), [(f"a{i}", str(i)) for i in range(count)], right=(1,))
    lines = [line for line in capsys.readouterr().out.splitlines() if "a2" in line or "name" in line]
    assert len(lines) >= 2
    assert len({len(line) for line in lines[:2]}) == 1
