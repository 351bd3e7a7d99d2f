"""Memory that ends in a child, and a child that the system kills for it: one line, and the rerun goes on."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import time
from pathlib import Path

import pytest
from helpers.faults import ISOLATED, TUNED, Place, end, wait


def child_of(place: Place) -> int | None:
    """The process in which a command trains or evaluates."""
    for pid in place.living():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:  # it has just ended
            continue
        if b"ds2.runs.child" in command:
            return pid
    return None


def virtual_bytes(pid: int) -> int:
    """Of addresses that a process has taken."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()


@pytest.mark.parametrize("way", ["out of memory in a child (RLIMIT_AS)", "child killed by the system"])
@pytest.mark.parametrize("stage", ["finetune", "evaluate"])
def test_a_child_without_memory_is_one_line(stage, way, tmp_path, quiet, rng, moments, tally):
    whole = quiet("tuned")
    for i, share in enumerate(moments):
        place = Place(tmp_path / str(i), (*whole.options, *ISOLATED), TUNED).holding(whole, before=stage)
        with (place.folder / "said").open("w+") as said:
            process = place.start(said)
            try:
                assert wait(lambda: child_of(place) or process.poll() is not None, 120)  # noqa: B023
                time.sleep(share * whole.seconds(stage))
                child = child_of(place)
                if child is not None and "killed" in way:
                    os.kill(child, signal.SIGKILL)
                elif child is not None:
                    most = virtual_bytes(child) + int(rng.integers(1, 64)) * 2**20
                    resource.prlimit(child, resource.RLIMIT_AS, (most, most))
                code = process.wait(300)
            finally:
                end(process)
            said.seek(0)
            output = said.read()
        again = place.rerun(whole) if place.all_ended() else f"processes outlive it: {place.living()}"
        lines = [line for line in output.splitlines() if line.startswith("error")]
        if code == 0:
            outcome, fine = "it was enough" if child else "had ended before", again == "equal"
        else:
            fine = again == "equal" and code == 2 and len(lines) == 1
            outcome = "one line, then equal"
        tally(way, stage, outcome if fine else f"{code} {output[-1200:]} {again}", fine)
        shutil.rmtree(place.folder)
