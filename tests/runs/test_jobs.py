"""What is kept of each job: across processes, after a failure, after a death."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from filelock import FileLock
from helpers.jobs import a_job

from ds2.base.errors import UserError
from ds2.runs import job_files, jobs


def attempt(root: Path, fingerprint: str, error: Exception | None = None) -> list[job_files.Job]:
    with a_job(root, ("seed=1",)) as (record, job):
        job.identify(fingerprint)
        if error is not None:
            raise error
    return record.read()


def test_a_failure_stays_on_record_with_its_reason(tmp_path, capsys):
    assert [job.state for job in attempt(tmp_path, "aa", UserError("no such pool"))] == ["refused"]
    assert [job.state for job in attempt(tmp_path, "bb", ZeroDivisionError("by zero"))] == ["failed"]
    capsys.readouterr()
    assert job_files.ledger(tmp_path).failures == {"aa": "no such pool", "bb": "ZeroDivisionError: by zero"}


def test_success_clears_an_earlier_failure_and_leaves_nothing_behind(tmp_path, capsys):
    attempt(tmp_path, "aa", UserError("no such pool"))
    assert [job.state for job in attempt(tmp_path, "aa")] == ["done"]
    assert job_files.ledger(tmp_path).failures == {}
    assert not (tmp_path / job_files.FOLDER).exists()


def test_a_second_failure_replaces_the_first(tmp_path, capsys):
    attempt(tmp_path, "aa", UserError("first"))
    attempt(tmp_path, "aa", UserError("second"))
    assert job_files.ledger(tmp_path).failures == {"aa": "second"}
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
        assert job_files.ledger(tmp_path).running == {"aa"}
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    ledger = job_files.ledger(tmp_path)
    assert ledger.running == frozenset()
    assert "died" in ledger.failures["aa"]


def test_a_damaged_record_is_named_and_the_others_are_read(tmp_path, capsys):
    attempt(tmp_path, "aa", UserError("no such pool"))
    broken = next(tmp_path.rglob("*.json")).with_name("broken.json")
    whole = {"overrides": [], "state": "failed", "started": "x"}
    odd = [whole | {"overrides": 5}, whole | {"started": 5}, whole | {"fingerprint": []}, whole | {"new": 1}]
    for text in ("", "{", "[" * 100_000, "5", json.dumps({"overrides": []}), *map(json.dumps, odd)):
        broken.write_text(text)
        ledger = job_files.ledger(tmp_path)
        assert ledger.damaged == [broken]
        assert ledger.failures == {"aa": "no such pool"}


def test_a_record_that_is_a_pipe_is_not_waited_for(tmp_path):
    attempt(tmp_path, "aa", UserError("no such pool"))
    pipe = next(tmp_path.rglob("*.json")).with_name("pipe.json")
    os.mkfifo(pipe)
    assert job_files.ledger(tmp_path).damaged == [pipe]
    assert list(job_files.leftovers(tmp_path)) == [pipe]


STILLBORN = SLEEPER.replace('    job.identify("aa")\n', "").replace("argv[1])", "argv[1]), ('seed=1',)")


def killed_at_once(root: Path) -> None:
    tests = Path(__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}"}
    command = [sys.executable, "-c", STILLBORN, str(root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.wait()


def test_what_a_job_that_died_at_once_left_goes_with_the_next_success_or_gc(tmp_path):
    killed_at_once(tmp_path)
    assert len(list(job_files.leftovers(tmp_path))) == 1
    attempt(tmp_path, "aa")  # of the same words
    assert not (tmp_path / job_files.FOLDER).exists()

    killed_at_once(tmp_path)
    folder = next((tmp_path / job_files.FOLDER).iterdir())
    for name in ("0.lock", ".1.json.abcd.draft", "2.json"):
        (folder / name).write_text("")
    with a_job(tmp_path, ("seed=3",)):
        left = list(job_files.leftovers(tmp_path))
        assert {path.parent for path in left} == {folder}
        assert len(left) == 4
        for path in left:
            jobs.forget(path)
    assert not (tmp_path / job_files.FOLDER).exists()


def test_what_was_typed_is_kept_without_its_secrets(tmp_path, capsys):
    typed = ("+rater.api_key=sk-planted", "rater.base_url=http://user:planted@host/v1")
    with a_job(tmp_path, typed) as (record, _):
        raise UserError("nothing at http://user:planted@host/v1")
    (job,) = record.read()
    assert "planted" not in next(tmp_path.rglob("*.json")).read_text()
    assert job.overrides == ["+rater.api_key=***", "rater.base_url=http://***@host/v1"]
    assert job.reason == "nothing at http://***@host/v1"


def test_a_store_that_cannot_be_written_to_keeps_no_records(tmp_path, monkeypatch):
    store = tmp_path / "store"
    store.mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != store)
    with a_job(store) as (record, _):
        assert [job.state for job in record.read()] == ["running"]
    assert not list(store.iterdir())


def test_the_end_of_a_job_is_on_record_though_the_disk_is_full(tmp_path, monkeypatch):
    @contextmanager
    def full(path: Path) -> Iterator[Path]:
        raise OSError(errno.ENOSPC, "No space left on device")
        yield path

    with a_job(tmp_path) as (record, _):
        monkeypatch.setattr(jobs, "replacing", full)
        raise UserError("no space left under paths.artifacts")
    assert [(job.state, job.reason) for job in record.read()] == [
        ("refused", "no space left under paths.artifacts")
    ]


def test_a_disk_that_is_full_outside_the_store_is_no_defect(tmp_path, capsys):
    with a_job(tmp_path) as (record, _):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "page.html")
    (job,) = record.read()
    assert job.state == "refused"
    assert job.reason == "no room for what is written: [Errno 28] No space left on device: 'page.html'"
    assert capsys.readouterr().err == ""


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to paths.artifacts"), a_job(tmp_path / "file"):
        pass


def test_reading_hundreds_of_records_takes_no_time(tmp_path):
    folder = tmp_path / job_files.FOLDER / "old"
    folder.mkdir(parents=True)
    for i in range(500):
        text = json.dumps({"overrides": [], "state": "failed", "reason": "x", "fingerprint": str(i)})
        (folder / f"{i}.json").write_text(text)
    began = time.perf_counter()
    assert len(job_files.ledger(tmp_path).failures) == 500
    assert time.perf_counter() - began < 1


OUTLIVING = """
import sys
from ds2.runs import jobs
with jobs.job(("seed=1",), keep_going=True, say=print) as job:
    job.identify("aa")
    print("ready", flush=True)
    if sys.stdin.readline() == "fail\\n":
        raise ValueError("no")
"""


@pytest.mark.parametrize(("end", "failures"), [("end", {}), ("fail", {"aa": "ValueError: no"})])
def test_a_job_that_outlives_its_command_keeps_its_record_until_it_has_ended(tmp_path, end, failures):
    """As launchers for clusters leave them."""
    with jobs.recorded(tmp_path) as record:
        told = record.hydra_arguments()[0].partition("env_set.")[2]
        name, _, value = told.partition("=")
        process = subprocess.Popen(
            [sys.executable, "-c", OUTLIVING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, name: value.strip("'"), "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip
        assert process.stdout.readline() == "ready\n"
    assert job_files.ledger(tmp_path).running == {"aa"}
    assert list(job_files.leftovers(tmp_path)) == []
    process.communicate(f"{end}\n", timeout=30)
    assert job_files.ledger(tmp_path) == job_files.Ledger(frozenset(), failures, [])
    assert bool(list(tmp_path.rglob("*.json"))) == bool(failures)


def a_dead_command(root: Path, *, state: str = "done", host: str | None = None) -> Path:
    """The folder of a command that was killed when its one job had come to this."""
    with jobs.recorded(root) as record, a_job_of(record):
        folder = next((root / job_files.FOLDER).iterdir())
        kept = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".json"}
    folder.mkdir(parents=True)
    for name, content in kept.items():
        told = json.loads(content) | {"state": state, "fingerprint": "aa"}
        (folder / name).write_text(json.dumps(told | ({"host": host} if host else {})))
    (folder / job_files.COMMAND).touch()
    return folder


@contextmanager
def a_job_of(record: jobs.JobRecord) -> Iterator[None]:
    (argument,) = record.hydra_arguments()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DS2_JOBS", argument.partition("=")[2].strip("'"))
        with jobs.job(["seed=1"], keep_going=True, say=print) as handle:
            handle.identify("aa")
            yield


def test_records_that_a_killed_command_can_no_longer_read_go_with_the_next(tmp_path):
    folder = a_dead_command(tmp_path)
    assert [path.suffix for path in job_files.leftovers(tmp_path)] == [".json"]
    attempt(tmp_path, "bb")
    assert not folder.exists()
    assert not (tmp_path / job_files.FOLDER).exists()


@pytest.mark.parametrize(
    "left", [False, True], ids=["killed at once", "its last job was killed as it forgot itself"]
)
def test_a_folder_without_a_record_goes(tmp_path, left):
    folder = a_dead_command(tmp_path)
    next(folder.glob("*.json")).unlink()
    if left:
        (folder / job_files.LEFT).touch()
    assert job_files.COMMAND in {path.name for path in job_files.leftovers(tmp_path)}
    attempt(tmp_path, "bb")
    assert not (tmp_path / job_files.FOLDER).exists()


@pytest.mark.parametrize("why", ["it lives", "it was on another machine", "failed"])
def test_records_that_somebody_may_read_stay(tmp_path, why):
    folder = a_dead_command(
        tmp_path,
        state="failed" if why == "failed" else "done",
        host="another" if why == "it was on another machine" else None,
    )
    with FileLock(folder / job_files.COMMAND) if why == "it lives" else nullcontext():
        assert not [path for path in job_files.leftovers(tmp_path) if path.suffix == ".json"]
        attempt(tmp_path, "bb")
        assert len(list(folder.glob("*.json"))) == 1


def test_the_lock_of_a_command_whose_failure_is_on_record_is_no_left_over(tmp_path, capsys):
    attempt(tmp_path, "aa", UserError("no such pool"))
    assert list(job_files.leftovers(tmp_path)) == []
    attempt(tmp_path, "aa")
    assert not (tmp_path / job_files.FOLDER).exists()


def test_a_job_that_begins_when_its_command_has_ended_forgets_itself(tmp_path):
    with jobs.recorded(tmp_path) as record:
        (argument,) = record.hydra_arguments()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DS2_JOBS", argument.partition("=")[2].strip("'"))
        with jobs.job(["seed=1"], keep_going=True, say=print) as handle:
            handle.identify("aa")
            assert job_files.ledger(tmp_path).running == {"aa"}
    assert not list(tmp_path.rglob("*.json"))
