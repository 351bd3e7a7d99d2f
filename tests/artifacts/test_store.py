"""Identity, caching, atomic publish, locks and damage."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from ds2.artifacts import store as store_module
from ds2.artifacts.record import find_artifacts
from ds2.artifacts.step import Outcome, Status, Step
from ds2.artifacts.store import ArtifactStore
from ds2.base.errors import DamagedArtifact, UserError


class Killed(BaseException):
    """Stands for the end of the process."""


def make_step(compute=None, **changes) -> Step:
    def write(folder: Path) -> Outcome:
        (folder / "values.json").write_text("[1, 2, 3]")
        return Outcome({"values": 3}, ("look twice",))

    fields = {"stage": "rate", "version": 1, "slug": "a b/c", "identity": {"k": 3}, "inputs": {"pool": "f00"}}
    return Step(**(fields | changes), compute=compute or write)


def test_the_second_time_an_artifact_is_reused(tmp_path):
    store = ArtifactStore(tmp_path)
    first, second = store.obtain(make_step()), store.obtain(make_step(compute=pytest.fail))
    assert (first.status, second.status) == (Status.computed, Status.reused)
    assert first.path == second.path
    assert first.path.name == f"a_b_c-{make_step().fingerprint}"
    assert second.record["counts"] == {"values": 3}
    assert second.record["warnings"] == ["look twice"]


@pytest.mark.parametrize(
    "change", [{"stage": "embed"}, {"version": 2}, {"identity": {"k": 4}}, {"inputs": {"pool": "f01"}}]
)
def test_every_part_of_the_identity_changes_the_fingerprint(change):
    assert make_step(**change).fingerprint != make_step().fingerprint


def test_slug_order_of_keys_and_code_do_not_change_the_fingerprint():
    one = make_step(identity={"a": 1, "b": 2})
    other = make_step(identity={"b": 2, "a": 1}, slug="another", compute=lambda folder: Outcome())
    assert one.fingerprint == other.fingerprint


def test_an_artifact_is_found_under_another_slug(tmp_path):
    store = ArtifactStore(tmp_path)
    store.obtain(make_step())
    assert store.obtain(make_step(slug="renamed", compute=pytest.fail)).status is Status.reused


def test_the_record_says_how_and_with_what(tmp_path):
    record = ArtifactStore(tmp_path).obtain(make_step()).record
    assert record["config"] == {"k": 3}
    assert record["inputs"] == {"pool": "f00"}
    assert record["wall_seconds"] >= 0
    assert record["peak_memory_bytes"] > 1_000_000
    assert record["versions"]["numpy"]
    assert set(record["files"]) == {"values.json"}


@pytest.mark.parametrize("file", ["values.json", "record.json"])
def test_one_flipped_bit_anywhere_is_refused_by_name(tmp_path, file):
    result = ArtifactStore(tmp_path).obtain(make_step())
    damaged = result.path / file
    original = damaged.read_bytes()
    for at in {0, len(original) // 3, len(original) // 2, len(original) - 1}:
        damaged.write_bytes(original[:at] + bytes([original[at] ^ 1]) + original[at + 1 :])
        with pytest.raises(DamagedArtifact, match=file):
            ArtifactStore(tmp_path).obtain(make_step())


def test_only_the_records_used_last_stay_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("ds2.artifacts.store._KEPT", 3)
    store = ArtifactStore(tmp_path)
    steps = [make_step(identity={"k": k}) for k in range(6)]
    for step in steps:
        store.obtain(step)
    for step in [*steps, *steps]:
        assert store.load(step).record["fingerprint"] == step.fingerprint
        assert store.load(steps[0]).record["fingerprint"] == steps[0].fingerprint
    assert [path.name.rpartition("-")[2] for path in store._records] == [
        steps[k].fingerprint for k in (4, 5, 0)
    ]


def test_a_missing_file_is_refused_by_name(tmp_path):
    result = ArtifactStore(tmp_path).obtain(make_step())
    (result.path / "values.json").unlink()
    with pytest.raises(DamagedArtifact, match=r"values\.json is missing"):
        ArtifactStore(tmp_path).obtain(make_step())


def test_a_failure_leaves_nothing_and_the_next_run_computes(tmp_path):
    def fail(folder: Path) -> Outcome:
        (folder / "half").write_text("half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        ArtifactStore(tmp_path).obtain(make_step(compute=fail))
    assert list((tmp_path / "rate").iterdir()) == []
    assert ArtifactStore(tmp_path).obtain(make_step()).status is Status.computed


def test_an_interrupted_resumable_step_finds_what_it_left(tmp_path):
    def interrupted(folder: Path) -> Outcome:
        (folder / "kept").mkdir()
        (folder / "kept" / "checkpoint").write_text("half")
        (folder / "begun").write_text("half")
        raise KeyboardInterrupt

    def resumed(folder: Path) -> Outcome:
        assert (folder / "kept" / "checkpoint").read_text() == "half"
        (folder / "begun").write_text("whole")
        return Outcome()

    with pytest.raises(KeyboardInterrupt):
        ArtifactStore(tmp_path).obtain(make_step(compute=interrupted, scratch=("kept",)))
    assert ArtifactStore(tmp_path).find(make_step()) is None
    made = ArtifactStore(tmp_path).obtain(make_step(compute=resumed, scratch=("kept",)))
    assert made.status is Status.computed
    assert list(made.record["files"]) == ["begun"]
    assert sorted(path.name for path in made.path.iterdir()) == ["begun", "record.json"]


@pytest.mark.parametrize("kept", [None, "empty"])
def test_a_resumable_step_that_kept_nothing_leaves_nothing(tmp_path, kept):
    def interrupted(folder: Path) -> Outcome:
        (folder / "begun").write_text("half")
        if kept:
            (folder / "kept").mkdir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ArtifactStore(tmp_path).obtain(make_step(compute=interrupted, scratch=("kept",)))
    assert not list(tmp_path.glob("*/.partial-*"))


@pytest.mark.parametrize("scratch", [(), ("kept",)])
@pytest.mark.parametrize("dies", ["before its record", "in its record", "before its name", "at a full disk"])
def test_what_was_whole_when_its_process_died_is_not_computed_again(tmp_path, monkeypatch, scratch, dies):
    """Where a step keeps what it goes on from it has that until the record is on the disk."""
    seen = []

    def compute(folder: Path) -> Outcome:
        seen.append((folder / "kept" / "all").is_file())
        (folder / "kept").mkdir(exist_ok=True)
        (folder / "kept" / "all").write_text("all")
        (folder / "values.json").write_text("[1]")
        return Outcome()

    def die(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device") if dies == "at a full disk" else Killed

    with monkeypatch.context() as patch:
        patch.setattr(
            store_module.shutil, "rmtree", lambda *_, **__: None
        )  # a killed process tidies nothing up
        if dies == "before its record":
            patch.setattr(ArtifactStore, "_record", die)
        elif dies == "before its name":
            patch.setattr(Path, "rename", die)
        else:
            patch.setattr(store_module, "replacing", die)
        with pytest.raises(UserError if dies == "at a full disk" else Killed):
            ArtifactStore(tmp_path).obtain(make_step(compute=compute, scratch=scratch))
    assert ArtifactStore(tmp_path).find(make_step()) is None
    made = ArtifactStore(tmp_path).obtain(make_step(compute=compute, scratch=scratch))
    assert seen == ([False] if dies == "before its name" else [False, bool(scratch)])
    assert ("kept/all" in made.record["files"]) is not bool(scratch)
    assert json.loads((made.path / "values.json").read_text()) == [1]
    assert [path.name for path in (tmp_path / "rate").iterdir()] == [made.path.name]


def test_what_was_whole_and_is_damaged_since_is_computed_again(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(store_module.shutil, "rmtree", lambda *_, **__: None)
        patch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            ArtifactStore(tmp_path).obtain(make_step())
    (partial,) = (tmp_path / "rate").iterdir()
    assert (partial / "record.json").is_file()
    assert find_artifacts(tmp_path / "rate") == []
    (partial / "values.json").write_text("[9, 9, 9]")
    made = ArtifactStore(tmp_path).obtain(make_step())
    assert json.loads((made.path / "values.json").read_text()) == [1, 2, 3]


def test_a_folder_without_a_record_is_not_an_artifact(tmp_path):
    store = ArtifactStore(tmp_path)
    path = store.obtain(make_step()).path
    (path / "record.json").unlink()
    (path / "values.json").write_text("half")
    assert store.find(make_step()) is None
    assert json.loads((store.obtain(make_step()).path / "values.json").read_text()) == [1, 2, 3]


@pytest.mark.parametrize("content", ["[" * 100_000, "[]", "null", '{"checksum": 1}', ""])
def test_a_record_of_another_shape_is_named(tmp_path, content):
    store = ArtifactStore(tmp_path)
    path = store.obtain(make_step()).path
    (path / "record.json").write_text(content)
    with pytest.raises(DamagedArtifact, match=r"record.json (is damaged|does not match)"):
        ArtifactStore(tmp_path).obtain(make_step())


FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EFBIG, "File too large"),  # a limit on the size of files
    OSError("192000 requested and 9184 written"),  # numpy's
    RuntimeError("I/O error: No space left on device (os error 28)"),  # safetensors'
]


@pytest.mark.parametrize("error", FULL, ids=["errno", "limit", "numpy", "safetensors"])
def test_a_full_disk_is_one_clear_line_and_leaves_nothing(tmp_path, error):
    def full(folder: Path) -> Outcome:
        (folder / "half").write_text("half")
        raise error

    with pytest.raises(UserError, match="no space left under paths.artifacts"):
        ArtifactStore(tmp_path).obtain(make_step(compute=full))
    assert list((tmp_path / "rate").iterdir()) == []


def test_an_error_that_names_another_full_disk_stays_as_it_is(tmp_path):
    def full(folder: Path) -> Outcome:
        raise UserError("cannot write to the temporary folder /tmp: No space left on device")

    with pytest.raises(UserError, match="^cannot write to the temporary folder /tmp"):
        ArtifactStore(tmp_path).obtain(make_step(compute=full))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_real_write_to_a_full_device_is_one_clear_line(tmp_path):
    def full(folder: Path) -> Outcome:
        with Path("/dev/full").open("wb", buffering=0) as device:
            device.write(b"x")
        return Outcome()

    with pytest.raises(UserError, match="no space left"):
        ArtifactStore(tmp_path).obtain(make_step(compute=full))


def test_an_unwritable_root_is_one_clear_line(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UserError, match=r"cannot write to paths\.artifacts"):
        ArtifactStore(blocked / "store").obtain(make_step())


def _slowly(root: str, log: str) -> None:
    def compute(folder: Path) -> Outcome:
        with Path(log).open("a") as lines:
            lines.write("computed\n")
        time.sleep(0.3)
        return Outcome()

    ArtifactStore(root).obtain(make_step(compute=compute))


def test_of_several_processes_one_computes_and_the_rest_reuse(tmp_path):
    context = multiprocessing.get_context("fork")
    jobs = [context.Process(target=_slowly, args=(str(tmp_path), str(tmp_path / "log"))) for _ in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(30)
    assert [job.exitcode for job in jobs] == [0, 0, 0, 0]
    assert (tmp_path / "log").read_text() == "computed\n"


def test_a_killed_holder_releases_its_lock_and_leaves_no_artifact(tmp_path):
    script = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from ds2.artifacts.step import Outcome, Step
        from ds2.artifacts.store import ArtifactStore
        def compute(folder):
            (folder / "half").write_text("half")
            print("holding", flush=True)
            time.sleep(60)
        ArtifactStore({str(tmp_path)!r}).obtain(Step("rate", 1, "a", {{"k": 3}}, {{"pool": "f00"}}, compute))
    """)
    holder = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "holding\n"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait(10)
    assert ArtifactStore(tmp_path).find(make_step()) is None
    result = ArtifactStore(tmp_path).obtain(make_step())
    assert result.status is Status.computed
    assert not (result.path / "half").exists()


def test_what_another_process_publishes_is_found_and_what_it_removes_is_not(tmp_path):
    """The names of a folder are remembered while it does not change."""
    mine, other = ArtifactStore(tmp_path), ArtifactStore(tmp_path)
    steps = [make_step(identity={"k": i}) for i in range(3)]
    for each in steps:
        assert mine.find(each) is None
        path = other.obtain(each).path
        assert mine.find(each) == path
    old = time.time() - 60
    os.utime(tmp_path / "rate", (old, old))  # so long ago that what lies there is remembered
    assert all(mine.find(each) for each in steps)
    shutil.rmtree(path)
    assert mine.find(steps[-1]) is None
    assert mine.find(steps[0]) is not None


def test_a_file_where_a_stage_s_folder_belongs_is_one_line(tmp_path):
    (tmp_path / "rate").write_text("x")
    with pytest.raises(UserError, match=r"rate is a file where the folder of stage rate belongs"):
        ArtifactStore(tmp_path).obtain(make_step())


def test_a_link_to_nothing_where_a_stage_s_folder_belongs_is_one_line(tmp_path):
    (tmp_path / "rate").symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match=r"rate is a link to nothing"):
        ArtifactStore(tmp_path).obtain(make_step())
