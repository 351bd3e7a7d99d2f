"""Requests to end: an exception where work can be left, a note where it is first brought to an end."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time

import pytest

from ds2.base.processes import Terminated, asked_first, deferred, ended_as_asked, terminable


def test_a_request_to_end_is_an_exception_and_finally_is_kept():
    left = []

    def work() -> None:
        with terminable():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                left.append("tidy")

    with pytest.raises(Terminated, match="SIGTERM") as end:
        work()
    assert (end.value.exit_code, left) == (143, ["tidy"])
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_a_library_makes_of_a_request_to_end_is_that_end(number):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    expected = KeyboardInterrupt if number == signal.SIGINT else Terminated

    def imports() -> None:
        try:
            os.kill(os.getpid(), number)
        except BaseException as error:
            raise ImportError("no module") from error

    with terminable():
        with pytest.raises(expected), ended_as_asked():
            imports()
        with pytest.raises(expected), ended_as_asked():  # the next piece of work does not begin
            pytest.fail("began")
    with pytest.raises(ImportError), ended_as_asked():
        raise ImportError("no signal here")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_end_that_meets_a_finaliser_is_not_lost(number):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    left = []

    class Finalised:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)
            left.append("Python drops what a finaliser raises, and goes on")

    def work() -> None:
        with terminable():
            Finalised()
            time.sleep(30)

    hook = sys.unraisablehook
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else Terminated):
        work()
    assert time.monotonic() - began < 10
    assert left == []
    assert sys.unraisablehook is hook


def test_work_that_defers_hears_of_it_and_outer_handlers_come_back():
    with terminable():
        outer = signal.getsignal(signal.SIGTERM)
        with deferred() as request:
            request.check()
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            assert request.number == signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) is outer
    with pytest.raises(Terminated):
        request.check()


def test_others_are_asked_before_a_signal_ends_this_process_and_a_second_one_does_not_wait():
    said = []

    def ask() -> None:
        said.append("asked")
        os.kill(os.getpid(), signal.SIGTERM)
        said.append("waited")

    def work() -> None:
        with terminable(), asked_first(ask):
            os.kill(os.getpid(), signal.SIGTERM)
            said.append("went on")

    with pytest.raises(Terminated):
        work()
    assert said == ["asked"]


def test_an_end_travels_between_processes():
    end = pickle.loads(pickle.dumps(Terminated(signal.SIGTERM)))
    assert (str(end), end.exit_code) == ("SIGTERM", 143)


def test_a_signal_that_was_ignored_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with terminable():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_child_whose_parent_was_killed_is_asked_to_end():
    child = (
        "import os, signal, sys, time\n"
        "from ds2.base.processes import end_with_parent\n"
        "def tidy(*_):\n"
        "    print('tidied', flush=True)\n"
        "    os._exit(0)\n"
        "signal.signal(signal.SIGTERM, tidy)\n"
        "end_with_parent(os.getppid())\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    began = time.monotonic()
    assert process.communicate()[0] == "tidied\n"  # the child has the other end of the pipe
    assert time.monotonic() - began < 10
