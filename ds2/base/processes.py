"""Ends of processes: a polite signal becomes an exception or a request to stop, and a child does not outlive
its parent.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Any

POLITE = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What a scheduler, a service manager or a closed terminal sends before it kills."""
LAST_WORDS = 25.0
"""Seconds for a child that was asked to end, to write a checkpoint; schedulers kill what is still there about
30 s after their signal.
"""
_LOOK = 0.2
"""Seconds between two looks at the parent."""
_AGAIN = 0.05
"""Seconds after which a signal that was met where nothing can be raised is sent again."""
_ORPHANED = 137
"""Exit code of a child that ended with its parent, as of one killed with it."""


class Terminated(BaseException):
    """The process was asked to end. No Exception, like KeyboardInterrupt: the command alone handles it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    def __reduce__(self) -> tuple[type[Terminated], tuple[int]]:
        return Terminated, (self.number,)  # a worker's, on its way to the command

    @property
    def exit_code(self) -> int:
        """128 and the signal's number, as a shell has it: 143 for SIGTERM."""
        return 128 + self.number


class StopRequest:
    """Whether the process was asked to end, for work that first brings itself to a good end."""

    def __init__(self) -> None:
        self.number: int | None = None
        """The signal's; None: nobody asked."""

    def check(self) -> None:
        """Raises Terminated, or KeyboardInterrupt for SIGINT, where the process was asked to end."""
        if self.number == signal.SIGINT:
            raise KeyboardInterrupt
        if self.number is not None:
            raise Terminated(self.number)


_asked = StopRequest()
"""Of the `terminable` in force."""
_asked_first: list[Callable[[], None]] = []


@contextmanager
def terminable() -> Iterator[None]:
    """Raise Terminated inside when the process is asked to end, so that `finally` is kept and children are
    ended; SIGINT stays KeyboardInterrupt. Signals that the process was started to ignore (nohup) stay
    ignored; elsewhere than in the main thread nothing is changed.
    """
    global _asked
    before, _asked = _asked, StopRequest()
    request = _asked

    def end(number: int, _: FrameType | None) -> None:
        request.number = number
        while number in POLITE and _asked_first:
            _asked_first.pop()()
        request.check()

    own = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    try:
        with _handled_by(end, (*POLITE, signal.SIGINT) if own else POLITE), _not_swallowed(request):
            yield
    finally:
        _asked = before


@contextmanager
def _not_swallowed(request: StopRequest) -> Iterator[None]:
    """Send the signal again where Python drops what it raises: in a finaliser, in a callback of C."""
    before = sys.unraisablehook

    def hook(dropped: Any) -> None:
        if request.number is None or not issubclass(dropped.exc_type, Terminated | KeyboardInterrupt):
            before(dropped)
            return
        threading.Timer(_AGAIN, os.kill, (os.getpid(), request.number)).start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextmanager
def ended_as_asked() -> Iterator[None]:
    """Raise for work inside `terminable` what its end was asked by, whatever came of that on its way: where a
    signal meets an import or a callback, a library may make another error of it, or nothing.
    """
    _asked.check()
    try:
        yield
    except Exception:  # of whatever kind the library made it; where nobody asked it goes on as it is
        _asked.check()
        raise


@contextmanager
def deferred() -> Iterator[StopRequest]:
    """Only note inside that the process is asked to end: a signal to a whole group of processes reaches a
    child twice, once by its parent.
    """
    request = StopRequest()

    def note(number: int, _: FrameType | None) -> None:
        request.number = number

    with _handled_by(note, POLITE):
        yield request


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Signals mean after it what they meant before, whatever handlers a library installs inside; where such a
    handler ends what is inside (SystemExit), the process was asked to end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (*POLITE, signal.SIGINT)}
    try:
        yield
    except SystemExit as error:
        raise Terminated(signal.SIGTERM) from error
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None], numbers: Sequence[int]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def asked_first(ask: Callable[[], None]) -> Iterator[None]:
    """Before a polite signal ends what is inside (`terminable`), call `ask`: what others are to bring to an
    end cannot wait until this process unwinds, where a library may kill them. A second signal does not wait.
    """
    _asked_first.append(ask)
    try:
        yield
    finally:
        if ask in _asked_first:
            _asked_first.remove(ask)


@contextmanager
def ending_with_parent(parent: int) -> Iterator[None]:
    """`end_with_parent`; what is inside is this process's work, after which an orphan ends at once."""
    end_with_parent(parent)
    try:
        yield
    finally:
        if os.getppid() != parent:
            os._exit(_ORPHANED)


@cache
def end_with_parent(parent: int) -> None:
    """End this process when the one that started it has ended, however that ended: it is asked to (SIGTERM),
    and ended `LAST_WORDS` seconds later; at once where it has only just begun. Once a process.

    Args:
        parent: the pid of that one, as it is told: it may have ended before this process asks.

    A thread looks for it: the kernel's own way (PR_SET_PDEATHSIG) is Linux's alone, and goes by the thread
    that started the child.
    """
    if os.getppid() != parent:
        os._exit(_ORPHANED)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LAST_WORDS)
        os._exit(_ORPHANED)

    threading.Thread(target=watch, name="parent", daemon=True).start()
