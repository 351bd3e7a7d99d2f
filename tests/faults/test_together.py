"""Several processes start one sweep at once: each stage is computed once, all end well."""

from __future__ import annotations

import subprocess
import time

import pytest
from helpers.faults import CHAINS, Place, end
from helpers.worlds import artifacts

GRID = ("-m", "seed=1,2", "selection=random,ds2", *CHAINS["select"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Place:
    place = Place(tmp_path_factory.mktemp("sweep"), GRID)
    code, output = place.run()
    assert code == 0, output
    return place


def computed(output: str) -> int:
    """Stages that a command says it has computed."""
    return sum(line.split()[1:2] == ["computed"] for line in output.splitlines())


def test_processes_that_start_one_sweep_share_the_work(whole, tmp_path, processes, tally):
    place = Place(tmp_path / "place", GRID)
    started = [place.start(subprocess.PIPE) for _ in range(processes)]
    ended = [(process.communicate(timeout=300)[0], process.returncode) for process in started]
    work = sum(computed(output) for output, _ in ended)
    once = work == len(artifacts(place.store, pages=True))
    faults = place.faults(whole)
    for output, code in ended:
        fine = code == 0 and once and not faults
        tally("started at once", "one sweep of 4 runs", "equal, each stage once" if fine else
              f"{code}: {faults or work}, {output[-300:]}", fine)  # fmt: skip


def test_processes_of_which_some_are_killed_share_the_work(whole, tmp_path, processes, rng, tally):
    place = Place(tmp_path / "place", GRID)
    started = [place.start(subprocess.PIPE) for _ in range(processes)]
    for victim in started[::2]:
        time.sleep(float(rng.uniform(0.5, 2.5)))
        end(victim)
        victim.communicate()
    for survivor in started[1::2]:
        output = survivor.communicate(timeout=300)[0]
        fine = survivor.returncode == 0
        tally(
            "started at once, half of them killed",
            "one sweep of 4 runs",
            "done" if fine else output[-600:],
            fine,
        )
    again = place.rerun(whole)
    tally("started at once, half of them killed", "rerun", again, again == "equal")
