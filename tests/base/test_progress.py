from __future__ import annotations

import io
import threading
import time

import pytest

from ds2.base.progress import Bar


def drawers() -> int:
    return sum(thread.name == "progress" for thread in threading.enumerate())


def test_a_bar_is_drawn_anew_while_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bar, "SILENCE", 0.02)
    screen = io.StringIO()
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
    assert drawers() == before
