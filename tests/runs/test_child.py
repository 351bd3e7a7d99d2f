"""Children of a run: they end with their parent, and take a request to end from it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import Timeout

from ds2.artifacts.locks import lock_of
from ds2.base.paths import project_root
from ds2.base.processes import LAST_WORDS
from ds2.runs import child as child_module
from ds2.runs import launcher

WORK = """
import os, signal, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
def end(number, frame):
    (folder / "last words").write_text("kept")
    sys.exit(143)
signal.signal(signal.SIGTERM, end)
(folder / "pid").write_text(str(os.getpid()))
time.sleep(60)
"""
PARENT = """
import subprocess, sys
from pathlib import Path
from ds2.base.processes import Terminated, terminable
from ds2.runs import launcher
try:
    with terminable():
        launcher._wait(subprocess.Popen([sys.executable, *launcher._CHILD, "work", sys.argv[1]]))
except Terminated as end:
    sys.exit(end.exit_code)
"""

LOCKING = """
import os, sys
from pathlib import Path
from ds2.artifacts.locks import lock_of, passed_on
from ds2.runs import launcher
lock = lock_of(Path(sys.argv[1]), "aa")
with lock, passed_on(lock):
    launcher._wait(launcher._start([*launcher._CHILD, "work", sys.argv[1]], os.environ))
"""


@contextmanager
def parent_at_work(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A parent that waits for its child, and the child's pid."""
    (folder / "work.py").write_text(WORK)
    path = os.pathsep.join([str(folder), str(project_root())])
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder)],
        env={**os.environ, "PYTHONPATH": path},
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # the tests may run under nohup
    )
    try:
        wait_until(lambda: (folder / "pid").exists() and (folder / "pid").read_text() != "")
        yield parent, int((folder / "pid").read_text())
    finally:
        parent.kill()
        parent.wait()


def wait_until(true, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_child_ends_with_a_parent_that_is_killed_and_keeps_what_it_has(tmp_path):
    with parent_at_work(tmp_path) as (parent, child):
        assert lives(child)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        wait_until(lambda: not lives(child), seconds=10)  # it was asked to
        assert (tmp_path / "last words").read_text() == "kept"


def test_what_a_child_works_on_is_locked_until_it_has_ended(tmp_path, monkeypatch):
    """Its parent, which had the lock, is gone: the next command must not work beside it."""
    monkeypatch.setitem(
        globals(), "WORK", WORK.replace("    sys.exit(143)", "    time.sleep(3)\n    sys.exit(143)")
    )
    monkeypatch.setitem(globals(), "PARENT", LOCKING)
    with parent_at_work(tmp_path) as (parent, child):
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        with pytest.raises(Timeout):
            lock_of(tmp_path, "aa").acquire(timeout=0)
        with lock_of(tmp_path, "aa").acquire(timeout=20):
            assert not lives(child)
            assert (tmp_path / "last words").exists()


@pytest.mark.slow
def test_a_child_that_does_not_end_when_it_is_asked_is_ended(tmp_path, monkeypatch):
    deaf = WORK.replace("time.sleep(60)\n", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)\n")
    monkeypatch.setitem(globals(), "WORK", deaf)
    with parent_at_work(tmp_path) as (parent, child):
        time.sleep(0.5)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        wait_until(lambda: not lives(child), seconds=LAST_WORDS + 10)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own way is Linux's")
def test_a_child_in_a_library_that_lets_no_thread_run_ends_too(tmp_path, monkeypatch):
    """With the interpreter's lock it waits for a lock that it holds: no handler of Python's runs."""
    holding = """
import ctypes
libc, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(64)
while True:
    libc.pthread_mutex_lock(mutex)
"""
    monkeypatch.setitem(globals(), "WORK", WORK.replace("time.sleep(60)\n", holding))
    with parent_at_work(tmp_path) as (parent, child):
        time.sleep(0.5)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        wait_until(lambda: not lives(child), seconds=LAST_WORDS + 10)


def test_a_child_whose_parent_was_killed_before_it_looked_ends(tmp_path):
    (tmp_path / "work.py").write_text(WORK)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    path = os.pathsep.join([str(tmp_path), str(project_root())])
    environment = {**os.environ, "PYTHONPATH": path, child_module.PARENT: str(gone.pid)}
    child = subprocess.Popen([sys.executable, *launcher._CHILD, "work", str(tmp_path)], env=environment)
    try:
        assert child.wait(30) == 137
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_parent_that_is_asked_to_end_lets_its_child_end_well(tmp_path, number, code):
    with parent_at_work(tmp_path) as (parent, child):
        parent.send_signal(number)
        assert parent.wait(20) == code
        assert not lives(child)
        assert (tmp_path / "last words").read_text() == "kept"
