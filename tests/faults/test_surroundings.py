"""What a command stands in, gone wrong: a disk of a few MB, a store that cannot be written to, few handles,
the clock, a lock of a dead process, another version of the code, a lost tracker.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from helpers.faults import CHAINS, SHORTEST, TUNED, Place, end, wait
from helpers.worlds import artifacts

from ds2.artifacts.record import read_record
from ds2.base.paths import project_root
from ds2.runs import job_files

_FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
_OWN_MOUNTS = ("unshare", "--map-root-user", "--mount")


def may_mount() -> bool:
    """Whether a process may have mounts of its own here."""
    tried = (*_OWN_MOUNTS, "mount", "-t", "tmpfs", "tmpfs", "/mnt")
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


needs_mounts = pytest.mark.skipif(
    shutil.which("unshare") is None or not may_mount(), reason="no mounts of one's own"
)


def errors(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("error")]


def is_one_line(code: int, said: str, most: int = 1) -> bool:
    return code == 2 and "Traceback" not in said and 1 <= len(errors(said)) <= most


@needs_mounts
@pytest.mark.parametrize("stage", TUNED)
def test_a_small_disk_is_one_line_and_with_room_the_rerun_goes_on(stage, tmp_path, quiet, rng, tally):
    whole = quiet(SHORTEST[stage])
    place = Place(tmp_path / "place", whole.options, whole.stages).holding(whole, before=stage)
    there = sum(4096 + path.stat().st_size for path in place.store.rglob("*")) + 60_000
    (folder,) = (path for name, path in artifacts(whole.store, pages=True).items() if name.startswith(stage))
    missing = sum(path.stat().st_size for path in folder.rglob("*"))
    size = there + int(rng.random() * missing)
    script = (
        f"cp -r artifacts kept && mount -t tmpfs -o size={size} tmpfs artifacts || exit 99\n"
        "cp -r kept/. artifacts || exit 99\n"
        '"$@" > small 2>&1; echo $? > small.code\n'
        'mount -o remount,size=900m artifacts\n"$@" > large 2>&1; echo $? > large.code\n'
        "cp -r artifacts/. came/"
    )
    (place.folder / "came").mkdir()
    code, said = place.run(around=(*_OWN_MOUNTS, "sh", "-c", script, "sh"))
    assert code == 0, said
    codes = [int((place.folder / f"{name}.code").read_text()) for name in ("small", "large")]
    first, second = ((place.folder / name).read_text() for name in ("small", "large"))
    shutil.rmtree(place.store)
    (place.folder / "came").rename(place.store)
    faults = place.faults(whole)
    one_line = is_one_line(codes[0], first)
    fits = codes[0] == 0
    fine = (one_line or fits) and codes[1] == 0 and not faults
    outcome = "it fitted" if fits else "one line, then equal"
    tally(
        "small disk (tmpfs)",
        stage,
        outcome if fine else f"{codes} {faults} {first[-900:]} {second[-600:]}",
        fine,
    )


@needs_mounts
@pytest.mark.parametrize("missing", [None, *TUNED])
def test_a_read_only_store_is_reused_and_what_is_missing_is_one_line(missing, tmp_path, quiet, tally):
    whole = quiet("tuned")
    place = Place(tmp_path / "place", whole.options, TUNED).holding(whole, before=missing)
    script = 'mount --bind artifacts artifacts && mount -o remount,ro,bind artifacts && exec "$@"'
    code, said = place.run(around=(*_OWN_MOUNTS, "sh", "-c", script, "sh"))
    fine = code == 0 if missing is None else is_one_line(code, said) and missing in errors(said)[0]
    again = place.rerun(whole)
    outcome = "reused" if missing is None else "one line, then equal"
    fine = fine and again == "equal"
    tally(
        "read-only store", missing or "all there", outcome if fine else f"{code} {said[-900:]} {again}", fine
    )


def test_few_file_handles_are_enough_or_one_line(tmp_path, quiet, rng, moments, tally):
    whole = quiet("tuned")
    for i, _ in enumerate(moments):
        place = Place(tmp_path / str(i), whole.options, TUNED)
        most = int(rng.integers(12, 120))
        code, said = place.run({resource.RLIMIT_NOFILE: most})
        again = place.rerun(whole)
        fine = (code == 0 or is_one_line(code, said)) and again == "equal"
        outcome = "done" if code == 0 else "one line, then equal"
        tally(
            "few file handles",
            "12 to 120",
            outcome if fine else f"{most}: {code} {said[-900:]} {again}",
            fine,
        )
        shutil.rmtree(place.folder)


@pytest.mark.skipif(_FAKETIME is None, reason="no libfaketime")
@pytest.mark.parametrize("shift", ["-1h", "+1h"])
def test_the_clock_an_hour_off_changes_nothing(shift, tmp_path, quiet, rng, tally):
    """A run begins with the clock an hour off, is killed, and goes on with it right; and the other way."""
    whole, stage = quiet("tuned"), str(rng.choice(["embed", "knn", "curate", "finetune"]))
    off = {"LD_PRELOAD": str(_FAKETIME), "FAKETIME": shift, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    for i, order in enumerate([(off, {}), ({}, off)]):
        folder = tmp_path / str(i)
        first, second = (Place(folder, whole.options, TUNED, environment=each) for each in order)
        process = first.start()
        assert wait(lambda: first.computing(stage) or process.poll() is not None, 120)  # noqa: B023
        end(process)
        code, said = second.run()
        reused = code == 0 and first.run()[1].count("computed") == 0
        faults = second.faults(whole)
        fine = reused and not faults
        tally(f"clock {shift}", "a random stage", "equal" if fine else f"{code} {faults} {said[-600:]}", fine)


@pytest.mark.skipif(_FAKETIME is None, reason="no libfaketime")
def test_an_edited_pool_is_seen_though_the_clock_went_back(tmp_path, tally):
    options = (*CHAINS["select"][:-1], "until=rate")
    plain = Place(tmp_path / "place", options, ("rate", "report"))
    ahead = {"LD_PRELOAD": str(_FAKETIME), "FAKETIME": "+1h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    assert Place(plain.folder, options, environment=ahead).run()[0] == 0
    pool = plain.folder / "pool.jsonl"
    before = pool.stat()
    text = pool.read_text()
    pool.write_text(text.replace('"true_score": 1', '"true_score": 2'))
    os.utime(pool, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert plain.run()[0] == 0
    rated = [path for name, path in artifacts(plain.store).items() if name.startswith("rate/")]
    tally("pool edited, size and time as before", "clock +1h, then right", "seen", len(rated) == 2)


def test_the_lock_and_the_job_of_a_process_on_another_host_stop_nobody(tmp_path, quiet, tally):
    whole = quiet("select")
    place = Place(tmp_path / "place", whole.options)
    (place.store / ".locks").mkdir(parents=True)
    for path in artifacts(whole.store, pages=True).values():
        (place.store / ".locks" / f"{read_record(path)['fingerprint']}.lock").write_text("pid 1 of elsewhere")
    left = place.store / job_files.FOLDER / "20200101T000000-00000000"
    left.mkdir(parents=True)
    job = job_files.Job(list(whole.options), "running", started="2020-01-01T00:00:00+00:00", host="elsewhere")
    (left / "a.json").write_text(json.dumps(job.__dict__))
    code, said = place.run()
    shutil.rmtree(left)  # nobody here can tell whether it lives
    faults = place.faults(whole)
    fine = code == 0 and not faults
    tally(
        "lock and job of another host",
        "all stages",
        "equal" if fine else f"{code} {faults} {said[-600:]}",
        fine,
    )


def newer_code(folder: Path) -> Path:
    """A copy of the program whose `curate` is a version further."""
    for name in ("ds2", "finetune", "eval", "experiments", "conf"):
        shutil.copytree(project_root() / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(project_root() / "pyproject.toml", folder)
    file = folder / "ds2" / "artifacts" / "versions.py"
    text, count = re.subn(
        r'"curate": {_ONE: (\d+)}', lambda m: f'"curate": {{_ONE: {int(m[1]) + 1}}}', file.read_text()
    )
    assert count == 1
    file.write_text(text)
    return folder


def test_two_versions_of_the_code_share_a_store_and_mix_nothing(tmp_path, quiet, tally):
    whole, newer = quiet("select"), newer_code(tmp_path / "newer")
    environment = {"PYTHONPATH": str(newer)}
    alone = Place(tmp_path / "alone", whole.options, environment=environment)
    assert alone.run()[0] == 0
    shared = tmp_path / "shared"
    old, new = Place(shared, whole.options), Place(shared, whole.options, environment=environment)
    started = [place.start(subprocess.PIPE) for place in (old, new, old, new)]
    ended = [(process.communicate(timeout=300)[0], process.returncode) for process in started]
    assert all(code == 0 for _, code in ended), ended
    there, olds, news = (artifacts(place.store).keys() for place in (old, whole, alone))
    assert len(there) == len(olds) + len([name for name in news if name.startswith(("curate/", "select/"))])
    assert there == olds | news
    for name in news - olds:
        shutil.rmtree(shared / "artifacts" / name)
    for report in artifacts(old.store, pages=True).keys() - there:
        shutil.rmtree(shared / "artifacts" / report)
    again = old.rerun(whole)
    tally("two versions of the code at once", "one store", again, again == "equal")


def tracker_of(place: Place) -> list[int]:
    """Processes of W&B that came of a command."""
    return [pid for pid in place.living() if "wandb-core" in name_of(pid)]


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:  # it has just ended
        return ""


def test_a_tracker_lost_in_the_middle_costs_no_run(tmp_path, quiet, rng, moments, tally):
    whole = quiet("tuned")
    for i, _ in enumerate(moments):
        stage = str(rng.choice(["rate", "knn", "curate", "model", "finetune", "evaluate"]))
        place = Place(tmp_path / str(i), (*whole.options, "paths.wandb=wandb"), TUNED, tracking="offline")
        with (place.folder / "said").open("w+") as said:
            process = place.start(said)
            assert wait(lambda: place.computing(stage) or process.poll() is not None, 120)  # noqa: B023
            killed = [os.kill(pid, signal.SIGKILL) for pid in tracker_of(place)]
            code = process.wait(300)
            said.seek(0)
            output = said.read()
        assert place.all_ended(20)
        own = "left behind: tmp/wandb-"  # the killed process's socket
        faults = [fault for fault in place.faults(whole) if not fault.startswith(own)]
        fine = bool(killed) and code == 0 and not faults and "Traceback" not in output
        spoken = "said, equal" if "tracking stopped" in output else "equal"
        tally(
            "W&B's process killed",
            "a random stage",
            spoken if fine else f"{code} {faults} {output[-900:]}",
            fine,
        )


def test_an_unreachable_tracker_costs_no_run(tmp_path, quiet, tally):
    whole = quiet("select")
    environment = {
        "WANDB_BASE_URL": "http://127.0.0.1:9",
        "WANDB_API_KEY": "0" * 40,
        "WANDB_INIT_TIMEOUT": "10",
    }
    place = Place(
        tmp_path / "place", (*whole.options, "paths.wandb=wandb"), environment=environment, tracking="wandb"
    )
    code, said = place.run()
    again = place.rerun(whole) if code == 2 else "; ".join(place.faults(whole)) or "equal"
    fine = again == "equal" and "Traceback" not in said and bool(re.search("tracking stopped|error", said))
    tally(
        "W&B unreachable", "tracking=wandb", "said, equal" if fine else f"{code} {again} {said[-900:]}", fine
    )
