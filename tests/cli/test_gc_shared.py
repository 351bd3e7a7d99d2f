"""`ds2 gc paths.store=URL`: what of a store that machines share can go, while others push into it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ds2.artifacts.leases import LEASE
from ds2.artifacts.record import RECORD
from ds2.artifacts.remote import RemoteStore
from ds2.artifacts.shared import SharedStore
from ds2.artifacts.step import Outcome, Status, Step
from ds2.base.errors import DamagedArtifact
from ds2.cli.main import run as command

pytest.importorskip("fsspec")
DAYS = 2 * 86_400


def make_step(version: int = 4, inputs=None) -> Step:
    def write(folder: Path) -> Outcome:
        (folder / "a.bin").write_bytes(b"a" * 3000)
        (folder / "b.bin").write_bytes(b"b" * 100)
        return Outcome()

    return Step("select", version, "s", {"k": 1}, inputs or {}, write)


@pytest.fixture
def place(tmp_path) -> Path:
    return tmp_path / "second"


@pytest.fixture
def remote(place) -> RemoteStore:
    return RemoteStore(f"file://{place}")


@pytest.fixture
def gc(tmp_path, place, monkeypatch, capsys):
    """The command; its exit code and the lines it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, list[str]]:
        capsys.readouterr()
        code = command(["gc", *words, f"paths.store=file://{place}", "paths.artifacts=here"])
        out, err = capsys.readouterr()
        return code, (out + err).splitlines()

    return run


def pushed(tmp_path: Path, remote: RemoteStore, step: Step) -> Path:
    """The step's folder in the shared store, finished."""
    store = SharedStore(tmp_path / "machine", remote)
    store.obtain(step)
    assert store.settle() == []
    return Path(remote.url.removeprefix("file://")) / step.stage / step.fingerprint


def aged(*files: Path) -> None:
    for file in files:
        os.utime(file, (time.time() - DAYS,) * 2)


def cut_off(folder: Path) -> None:
    """As a machine leaves it that died while it pushed, days ago."""
    (folder / RECORD).unlink()
    (folder / LEASE).write_text("{}")
    aged(*folder.iterdir())


def test_a_push_that_was_cut_off_days_ago_is_named_and_freed(tmp_path, remote, gc):
    folder = pushed(tmp_path, remote, make_step())
    cut_off(folder)
    code, lines = gc()
    where = f"{remote.url}/select/{folder.name}"
    assert code == 0
    assert f"unfinished {where}: 3 objects, 3.0 KiB" in lines
    assert any(f"; ds2 gc delete paths.store={remote.url} removes them" in line for line in lines)
    assert folder.exists()
    assert f"deleted {where}: 3 objects, 3.0 KiB" in gc("delete")[1]
    assert not folder.exists()
    again = SharedStore(tmp_path / "machine", remote)
    assert again.obtain(make_step()).status is Status.reused
    assert again.settle() == []
    assert (folder / RECORD).exists()


def test_what_was_pushed_today_stays(tmp_path, remote, gc):
    folder = pushed(tmp_path, remote, make_step())
    cut_off(folder)
    (young,) = [file for file in folder.iterdir() if file.stat().st_size == 100]
    os.utime(young)
    code, lines = gc("delete")
    assert (code, len(list(folder.iterdir()))) == (0, 3)
    assert not any(folder.name in line for line in lines)


def test_a_dead_machine_s_lease_and_drafts_beside_a_finished_artifact_go(tmp_path, remote, gc):
    folder = pushed(tmp_path, remote, make_step())
    kept = {file.name for file in folder.iterdir()}
    names = (LEASE, f".{'0' * 64}.0a1b2c3d.draft", "f" * 64)
    for name in names:
        (folder / name).write_text("left")
    aged(*folder.iterdir())
    assert f"unfinished {remote.url}/select/{folder.name}: 3 objects, 12 B" in gc()[1]
    gc("delete")
    assert {file.name for file in folder.iterdir()} == kept
    assert SharedStore(tmp_path / "other", remote).obtain(make_step()).status is Status.fetched


def test_what_is_not_ds2_s_is_left_alone(tmp_path, remote, gc, place):
    names = ("notes.txt", "select/notes.txt", "select/old/x.bin", f"mine/{'a' * 16}/{'b' * 64}",
             f"select/{'a' * 16}/mine.txt")  # fmt: skip
    others = [place / name for name in names]
    for file in others:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("mine")
        aged(file)
    code, lines = gc("older", "newer", "delete")
    assert code == 0
    assert not any(str(file.parent) in line for file in others[1:] for line in lines)
    assert all(file.exists() for file in others)


def test_artifacts_of_other_versions_go_where_their_age_is_named(tmp_path, remote, gc):
    old, new = make_step(1), make_step()
    after = make_step(inputs={"select": old.fingerprint})
    folders = [pushed(tmp_path, remote, step) for step in (old, after, new)]
    code, lines = gc("delete")
    assert code == 0
    assert sum(line.startswith("older file://") for line in lines) == 2
    assert any(f"made from {old.fingerprint}" in line for line in lines)
    assert all(folder.exists() for folder in folders)
    gc("older", "delete")
    assert [folder.exists() for folder in folders] == [False, False, True]


def test_a_damaged_record_is_said_and_goes_so_that_it_can_be_pushed_again(tmp_path, remote, gc):
    folder = pushed(tmp_path, remote, make_step())
    (folder / RECORD).write_text("{")
    aged(*folder.iterdir())
    code, lines = gc()
    assert any(f"{RECORD} in {remote.url}/select/{folder.name} is not what was written" in x for x in lines)
    assert (code, len(list(folder.iterdir()))) == (0, 3)
    gc("delete")
    assert not (folder / RECORD).exists()
    store = SharedStore(tmp_path / "machine", remote)
    assert store.obtain(make_step()).status is Status.reused
    assert store.settle() == []
    assert SharedStore(tmp_path / "other", remote).obtain(make_step()).status is Status.fetched


@pytest.mark.timeout(60)
def test_a_named_pipe_in_the_place_of_an_object_is_not_waited_for(tmp_path, remote, gc):
    folder = pushed(tmp_path, remote, make_step())
    (file,) = (file for file in folder.iterdir() if file.stat().st_size == 100)
    for name in (file.name, RECORD):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        other = SharedStore(tmp_path / f"other-{name[:4]}", remote)
        with pytest.raises(DamagedArtifact, match="is not what was written"):
            other.obtain(make_step())
    assert gc("delete")[0] == 0


def test_a_push_that_goes_on_while_gc_removes_ends_whole_or_not_at_all(tmp_path, remote, gc, monkeypatch):
    """A machine pushes the same artifact at the moment its old half is removed."""
    folder = pushed(tmp_path, remote, make_step())
    cut_off(folder)
    other = SharedStore(tmp_path / "machine", RemoteStore(remote.url))
    removing, left = RemoteStore.remove, [True]

    def meanwhile(self, *arguments):
        if left:
            left.clear()
            assert other.obtain(make_step()).status is Status.reused
            assert other.settle() == []
            assert (folder / RECORD).exists()
        removing(self, *arguments)

    monkeypatch.setattr(RemoteStore, "remove", meanwhile)
    gc("delete")
    assert not (folder / RECORD).exists()  # its files went: its record does, too
    third = SharedStore(tmp_path / "third", remote)
    assert third.obtain(make_step()).status is Status.computed


def test_files_that_vanish_while_a_push_writes_its_record_are_put_again(tmp_path, remote, monkeypatch):
    folder = Path(remote.url.removeprefix("file://")) / "select" / make_step().fingerprint
    store, writing = SharedStore(tmp_path / "machine", remote), type(remote._fs).pipe_file

    def write(self, path, value, *arguments, **options):
        if RECORD in path:
            for file in folder.glob("[!.]*"):
                file.unlink()
        return writing(self, path, value, *arguments, **options)

    monkeypatch.setattr(type(remote._fs), "pipe_file", write)
    store.obtain(make_step())
    assert store.settle() == []
    monkeypatch.undo()
    assert SharedStore(tmp_path / "other", remote).obtain(make_step()).status is Status.fetched


@pytest.mark.parametrize(("address", "said"), [
    ("memory:///", "names no folder and no bucket"), ("s3x://bucket/y", "cannot be used"),
])  # fmt: skip
def test_an_address_that_names_no_place_is_one_line(address, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command(["gc", f"paths.store={address}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.parametrize("method", ["find", "cat_file", "rm_file"])
def test_a_store_that_is_lost_in_the_middle_is_one_line(method, tmp_path, remote, gc, monkeypatch):
    cut_off(pushed(tmp_path, remote, make_step()))
    pushed(tmp_path, remote, make_step(inputs={"pool": "f00"}))

    def lost(self, *arguments, **options):
        raise OSError("the network is gone")

    monkeypatch.setattr(type(remote._fs), method, lost)
    code, lines = gc("delete")
    assert code == 2
    assert lines[-1].endswith(f"paths.store={remote.url} cannot be asked: the network is gone")


def test_an_address_with_nothing_of_ds2_s_says_so(gc, place):
    code, lines = gc("delete")
    assert (code, lines[-1]) == (0, f"nothing of DS2's in file://{place}")
    assert not place.exists()
