"""What `ds2 gc` takes for left behind, while others work in the store."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from ds2.artifacts.locks import held
from ds2.artifacts.shared import FETCHING
from ds2.artifacts.step import Outcome, Status, Step
from ds2.artifacts.store import ArtifactStore
from ds2.base.errors import UserError
from ds2.cli import gc


@pytest.fixture
def store(tmp_path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store")


def left_behind(store: ArtifactStore, stage: str, fingerprint: str) -> Path:
    folder = store.root / stage / f".partial-{fingerprint}"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "last").write_text("hours")
    return folder


def make_step(compute) -> Step:
    return Step("finetune", 1, "s", {}, {}, compute, scratch=("checkpoints",))


def at_first_removal(monkeypatch, act) -> None:
    """Do something while gc removes its first folder."""
    removing, left = shutil.rmtree, [act]

    def remove(path, *arguments, **options):
        if left:
            left.pop()()
        removing(path, *arguments, **options)

    monkeypatch.setattr(gc.shutil, "rmtree", remove)


def test_a_stage_that_starts_while_gc_removes_another_folder_keeps_its_own(store, monkeypatch):
    other = left_behind(store, "curate", "0" * 16)
    started, go, kept, results = threading.Event(), threading.Event(), [], []

    def compute(folder: Path) -> Outcome:
        started.set()
        go.wait(30)
        kept.append((folder / "checkpoints" / "last").read_text())
        return Outcome()

    step = make_step(compute)
    left_behind(store, "finetune", step.fingerprint)
    stage = threading.Thread(target=lambda: results.append(ArtifactStore(store.root).obtain(step).status))
    at_first_removal(monkeypatch, lambda: (stage.start(), started.wait(30)))
    gc.run(store, ["delete"])
    go.set()
    stage.join()
    assert (kept, results, other.exists()) == (["hours"], [Status.computed], False)


def test_a_stage_that_starts_while_gc_removes_its_own_folder_waits_and_begins_anew(store, monkeypatch):
    found, waited, results = [], threading.Event(), []

    def compute(folder: Path) -> Outcome:
        found.extend(folder.iterdir())
        return Outcome()

    step = make_step(compute)
    left_behind(store, "finetune", step.fingerprint)

    def obtain() -> None:
        results.append(ArtifactStore(store.root).obtain(step, on_wait=waited.set).status)

    stage = threading.Thread(target=obtain)
    at_first_removal(monkeypatch, lambda: (stage.start(), waited.wait(30)))
    gc.run(store, ["delete"])
    stage.join()
    assert (waited.is_set(), found, results) == (True, [], [Status.computed])


def test_what_an_interrupted_fetch_left_is_freed_while_nobody_fetches_it(store, capsys):
    fingerprint = "0123456789abcdef"
    left = store.root / FETCHING / fingerprint
    left.mkdir(parents=True)
    (left / "adapter").write_text("x")
    with held(store.root, left):
        gc.run(store, ["delete"])
    assert left.exists()
    gc.run(store, ["delete"])
    assert f"deleted {left}" in capsys.readouterr().out
    assert not left.exists()


def test_a_draft_at_the_root_whose_writer_is_gone_is_named_and_freed(store, capsys):
    store.root.mkdir()
    old, new = store.root / "..hashes.json.0a.draft", store.root / "..hashes.json.1b.draft"
    for draft in (old, new):
        draft.write_text("{")
    os.utime(old, (time.time() - 7200,) * 2)
    gc.run(store, [])
    said = capsys.readouterr().out
    assert f"unfinished {old}" in said
    assert new.name not in said
    assert old.exists()
    gc.run(store, ["delete"])
    assert (old.exists(), new.exists()) == (False, True)


@pytest.mark.parametrize("words", [[], ["delete"]])
def test_a_file_where_the_locks_belong_is_one_line(store, words):
    left_behind(store, "knn", "a" * 16)
    (store.root / ".locks").write_text("x")
    with pytest.raises(UserError, match=r"\.locks is a file where the store's folder of locks belongs"):
        gc.run(store, words)


def test_what_is_in_the_place_of_a_dead_job_s_record_goes_too(store, capsys):
    odd = store.root / ".jobs" / "command" / "odd.json"
    odd.mkdir(parents=True)
    os.mkfifo(odd.with_name("pipe.json"))
    assert gc.run(store, ["delete"]) == 0
    assert "2 records of dead jobs" in capsys.readouterr().out
    assert not odd.parent.exists()
