from __future__ import annotations

import io
import re
import threading
import time
from itertools import pairwise

import pytest

from ds2.base.progress import Bar, clock


class Terminal(io.StringIO):
    """What says that it is one."""

    def isatty(self) -> bool:
        return True


def drawers() -> int:
    return sum(thread.name == "progress" for thread in threading.enumerate())


def test_a_bar_is_drawn_anew_while_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bar, "SILENCE", 0.02)
    screen = Terminal()
    with Bar(total=2, desc="judge", file=screen) as bar:
        drawn = screen.getvalue().count("judge")
        deadline = time.monotonic() + 20
        while screen.getvalue().count("judge") < drawn + 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert screen.getvalue().count("judge") >= drawn + 3
        bar.update(2)
    assert "2/2" in screen.getvalue()


def test_a_closed_bar_and_a_hidden_one_leave_nothing_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bar, "SILENCE", 0.01)
    before = drawers()
    assert list(Bar(range(3), file=io.StringIO())) == [0, 1, 2]
    with Bar(total=1, disable=True):
        assert drawers() <= before + 1
    deadline = time.monotonic() + 20
    while drawers() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert drawers() <= before


def test_a_log_gets_whole_lines_with_rate_and_time_left_and_not_before_they_are_due(monkeypatch) -> None:
    monkeypatch.setattr(Bar, "SILENCE", 0.01)
    log = io.StringIO()
    for _ in Bar(range(2000), desc="short", file=log, mininterval=0):
        pass
    assert log.getvalue() == ""
    monkeypatch.setattr(Bar, "LOGGED", 0.2)
    with Bar(total=3, desc="judge", file=log) as bar:
        bar.update(1)
        began = time.monotonic()
        while time.monotonic() - began < 0.9:
            time.sleep(0.01)
        bar.update(1)
    lines = log.getvalue().splitlines()
    assert 1 <= len(lines) <= 5
    assert "\r" not in log.getvalue()
    assert all(re.match(r"judge: +\d+%\|.*\| \d/3 \[\d\d:\d\d<.*it", line) for line in lines)


def test_no_log_is_silent_for_more_than_ten_seconds(monkeypatch) -> None:
    """In a twentieth of the time: a step that never ends is written as often as a terminal draws it."""
    assert Bar.LOGGED < Bar.SILENCE == 10
    monkeypatch.setattr(Bar, "SILENCE", Bar.SILENCE / 20)
    monkeypatch.setattr(Bar, "LOGGED", Bar.LOGGED / 20)
    log, written = io.StringIO(), []
    began = time.monotonic()
    with Bar(total=3, desc="fine-tune", file=log):
        while time.monotonic() - began < 2.2:
            time.sleep(0.01)
            if log.getvalue().count("\n") > len(written):
                written.append(time.monotonic())
    gaps = [later - earlier for earlier, later in pairwise([began, *written])]
    assert len(gaps) >= 3
    assert max(gaps) < 0.7, "one look late at most, on a busy machine a little more"


def test_work_without_a_bar_is_written_to_a_log_when_it_has_been_silent_once(monkeypatch, capsys) -> None:
    monkeypatch.setattr(Bar, "SILENCE", 0.2)
    monkeypatch.setattr(Bar, "LOGGED", 60.0)
    with clock("curate"):
        time.sleep(0.5)
    assert re.fullmatch(r"curate: 00:0\d\n", capsys.readouterr().err)


def test_work_without_a_bar_shows_its_clock_and_leaves_the_place_to_a_bar(monkeypatch, capsys) -> None:
    monkeypatch.setattr(Bar, "SILENCE", 0.05)
    monkeypatch.setattr(Bar, "LOGGED", 0.0)
    with clock("curate"):
        time.sleep(0.4)
        silent = capsys.readouterr().err
        with Bar(total=1, desc="own", file=Terminal()):
            time.sleep(0.2)
            capsys.readouterr()
            time.sleep(0.2)
            assert "curate" not in capsys.readouterr().err
    assert re.match(r"curate: 00:0\d\n", silent)
    with clock("hidden", shown=False):
        time.sleep(0.2)
    assert capsys.readouterr().err == ""
