"""What is kept of each job: across processes, after a failure, after a death."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.jobs import a_job

from ds2.base.errors import UserError
from ds2.runs import jobs


def attempt(root: Path, fingerprint: str, error: Exception | None = None) -> list[jobs.Job]:
    with a_job(root, ("seed=1",)) as (record, job):
        job.identify(fingerprint)
        if error is not None:
            raise error
    return record.read()


def test_a_failure_stays_on_record_with_its_reason(tmp_path, capsys):
    assert [job.state for job in attempt(tmp_path, "aa", UserError("no such pool"))] == ["refused"]
    assert [job.state for job in attempt(tmp_path, "bb", ZeroDivisionError("by zero"))] == ["failed"]
    capsys.readouterr()
    assert jobs.ledger(tmp_path).failures == {"aa": "no such pool", "bb": "ZeroDivisionError: by zero"}


def test_success_clears_an_earlier_failure_and_leaves_nothing_behind(tmp_path, capsys):
    attempt(tmp_path, "aa", UserError("no such pool"))
    assert [job.state for job in attempt(tmp_path, "aa")] == ["done"]
    assert jobs.ledger(tmp_path).failures == {}
    assert not (tmp_path / jobs.FOLDER).exists()


def test_a_second_failure_replaces_the_first(tmp_path, capsys):
    attempt(tmp_path, "aa", UserError("first"))
    attempt(tmp_path, "aa", UserError("second"))
    assert jobs.ledger(tmp_path).failures == {"aa": "second"}
    assert len(list(tmp_path.rglob("*.json"))) == 1


def test_a_plan_s_failure_is_not_the_run_s(tmp_path, capsys):
    with a_job(tmp_path / "new") as (record, job):
        job.only_asks()
        raise UserError("no")
    assert record.read()[0].reason == "no"
    assert not (tmp_path / "new").exists()


SLEEPER = """
import sys, time
from pathlib import Path
from helpers.jobs import a_job
with a_job(Path(sys.argv[1])) as (record, job):
    job.identify("aa")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_living_job_is_running_and_a_killed_one_has_died(tmp_path):
    tests = Path(__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}"}
    command = [sys.executable, "-c", SLEEPER, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    try:
        assert process.stdout.readline() == "ready\n"
        assert jobs.ledger(tmp_path).running == {"aa"}
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    ledger = jobs.ledger(tmp_path)
    assert ledger.running == frozenset()
    assert "died" in ledger.failures["aa"]


def test_a_damaged_record_is_named_and_the_others_are_read(tmp_path, capsys):
    attempt(tmp_path, "aa", UserError("no such pool"))
    broken = next(tmp_path.rglob("*.json")).with_name("broken.json")
    for text in ("", "{", json.dumps({"overrides": []})):
        broken.write_text(text)
        ledger = jobs.ledger(tmp_path)
        assert ledger.damaged == [broken]
        assert ledger.failures == {"aa": "no such pool"}


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to paths.artifacts"), a_job(tmp_path / "file"):
        pass


def test_reading_hundreds_of_records_takes_no_time(tmp_path):
    folder = tmp_path / jobs.FOLDER / "old"
    folder.mkdir(parents=True)
    for i in range(500):
        text = json.dumps({"overrides": [], "state": "failed", "reason": "x", "fingerprint": str(i)})
        (folder / f"{i}.json").write_text(text)
    began = time.perf_counter()
    assert len(jobs.ledger(tmp_path).failures) == 500
    assert time.perf_counter() - began < 1
