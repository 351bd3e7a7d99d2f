from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest
from helpers.full_disk import no_file_beyond

from ds2.base.drafts import full_disk_refused, is_disk_full, passing, remove_drafts, replacing
from ds2.base.errors import UserError


@pytest.mark.parametrize("durable", [False, True])
def test_the_file_takes_its_place_when_it_is_whole(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with replacing(path, durable=durable) as draft:
        draft.write_text("new")
        assert path.read_text() == "old"
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.json", "new")]


def test_after_an_error_the_file_is_as_it_was_and_the_draft_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def half() -> None:
        with replacing(path) as draft:
            draft.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.json", "old")]


def test_two_writers_do_not_touch_each_other_s_draft(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with replacing(path) as first, replacing(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # the outer block ends last
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    kept = [below / "a.json", below / "a.draft"]
    for path in kept:
        path.write_text("")
    writer = replacing(below / "b.json")
    writer.__enter__().write_text("half")
    remove_drafts(tmp_path)
    assert sorted(below.iterdir()) == sorted(kept)


def test_a_passing_file_is_gone_afterwards_and_a_draft_where_its_writer_was_killed(tmp_path: Path) -> None:
    with passing(tmp_path, "spec.json") as path:
        path.write_text("{}")
    assert list(tmp_path.iterdir()) == []
    path.write_text("{}")
    remove_drafts(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("zipped", [True, False])
def test_whatever_torch_says_of_a_full_disk_is_known_as_one(tmp_path: Path, zipped: bool) -> None:
    torch = pytest.importorskip("torch")
    state, path = {"a": torch.arange(5000.0), "words": ["text"] * 50}, tmp_path / "state.pt"

    def save() -> None:
        torch.save(state, path, _use_new_zipfile_serialization=zipped)

    save()
    size = path.stat().st_size
    for limit in [*range(0, size - 1, size // 40), size - 1]:
        with pytest.raises((OSError, RuntimeError)) as caught, no_file_beyond(limit):
            save()
        assert is_disk_full(caught.value), (limit, caught.value)


def test_a_full_disk_is_refused_in_one_line_and_what_is_said_already_stays() -> None:
    errors = OSError(errno.ENOSPC, "No space left on device", "a.csv"), UserError("No space left on device")
    for error, said in zip(errors, ["no room for what is written: .*a.csv", "^No space"], strict=True):
        with pytest.raises(UserError, match=said), full_disk_refused():
            raise error
    with pytest.raises(KeyError), full_disk_refused():
        raise KeyError


def test_a_database_without_room_is_a_full_disk_and_another_error_is_none(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "log.sqlite")
    database.execute("PRAGMA max_page_count = 2")
    database.execute("CREATE TABLE kept (text)")
    with pytest.raises(sqlite3.Error) as caught:
        database.execute("INSERT INTO kept VALUES (?)", ["long" * 9999])
    database.close()
    assert is_disk_full(caught.value)
    assert not is_disk_full(RuntimeError("open file failed with strerror: Permission denied"))
