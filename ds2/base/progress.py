"""Progress that never falls silent: a bar in a terminal or a notebook, a line every ten seconds in a log.

A log is what is neither terminal nor notebook: there a bar drawn many times a second would fill the file.
"""

from __future__ import annotations

import sys
import time
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, RLock, Thread
from typing import Any

from tqdm import std

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "IProgress not found")  # without ipywidgets bars are text
    from tqdm.auto import tqdm

_NOTEBOOK = any(base.__name__ == "tqdm_notebook" for base in tqdm.__mro__)


class Bar(tqdm):  # type: ignore[type-arg]
    """tqdm's bar. In a terminal it is drawn anew at least every `SILENCE` seconds: its clock shows that work
    goes on where a step or an answer takes long. In a log it is a line of its own, with rate and time left,
    at most every `LOGGED` seconds and at least every `SILENCE`. A notebook has tqdm's widget, or without
    ipywidgets a bar of text, from the first second on, drawn once a second: a saved notebook keeps every
    drawing.
    """

    SILENCE = 10.0
    """Seconds."""
    LOGGED = 9.0
    """Seconds: what is due is looked for every second, so that no silence is longer than `SILENCE`. A day of
    work is a log of one megabyte.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._ended = Event()
        self._in_log = is_log(options.get("file"))
        self._said = time.monotonic()
        if self._in_log:
            options |= {"leave": False, "ascii": True, "ncols": options.get("ncols") or 100}
        elif not _NOTEBOOK and _is_cell(options.get("file") or sys.stderr):
            # One line for all: a cell knows no way up, and would have a line a drawing of a second bar.
            options = {"delay": 1.0} | options
            options |= {"mininterval": 1.0, "position": 0, "ncols": options.get("ncols") or 100}
        super().__init__(*args, **options)
        if not self.disable:
            wait = self.SILENCE / 10 if self._in_log else self.SILENCE
            drawing = (weakref.ref(self), self._ended, wait)
            Thread(target=_keep_drawing, args=drawing, name="progress", daemon=True).start()

    def display(self, *args: Any, **options: Any) -> Any:
        """Draw it; in a log, write it where that is due."""
        if not getattr(self, "_in_log", False):
            return super().display(*args, **options)
        if not self._ended.is_set() and time.monotonic() - self._said >= self.LOGGED:
            self._said = time.monotonic()
            self.fp.write(f"{self}\n")
            self.fp.flush()
        return None

    def clear(self, *args: Any, **options: Any) -> None:
        """Make room for a line of text; a log needs none."""
        if not self._in_log:
            super().clear(*args, **options)

    def close(self) -> None:
        """Draw it once more and leave it."""
        self._ended.set()
        super().close()


def is_log(file: Any = None) -> bool:
    """Whether what is written there (standard error, where it is not told) is read later, as a file."""
    stream = sys.stderr if file is None else file
    if _NOTEBOOK or _is_cell(stream):
        return False
    return not (hasattr(stream, "isatty") and stream.isatty())


def _is_cell(stream: Any) -> bool:
    """Whether what is written there stands below a cell of a notebook."""
    return type(stream).__module__.startswith("ipykernel.")


def _keep_drawing(bar: weakref.ref[Bar], ended: Event, silence: float) -> None:
    """Until the bar is closed, or nobody holds it any longer (an error left its work)."""
    while not ended.wait(silence):
        drawn = bar()
        if drawn is None:
            return
        drawn.refresh()
        del drawn


@contextmanager
def clock(name: str, *, shown: bool = True) -> Iterator[None]:
    """The time that the work inside has taken, from `Bar.SILENCE` seconds on, whenever no bar shows more."""
    if not shown:
        yield
        return
    ended = Event()
    thread = Thread(target=_run_clock, args=(name, ended), name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _run_clock(name: str, ended: Event) -> None:
    began, mine = time.time(), None
    while not ended.wait(Bar.SILENCE):
        if any(bar is not mine for bar in list(getattr(Bar, "_instances", ()))):
            if mine is not None:
                mine.close()
                mine = None
        elif mine is None:
            mine = Bar(desc=name, bar_format="{desc}: {elapsed}", leave=False, delay=0)
            mine.start_t = began
            mine._said -= Bar.LOGGED  # nothing has been written since this work began
            mine.refresh()
    if mine is not None:
        mine.close()


def lock_of_threads() -> None:
    """Let the bars of this process, a launcher's worker, share a lock among its threads alone: tqdm's own is
    a semaphore of the system, which is left, with a warning, where the launcher kills the worker.
    """
    std.tqdm.set_lock(RLock())  # which every other class of tqdm has from it
