"""The answer log, also across processes and after a kill."""

from __future__ import annotations

import multiprocessing
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ds2.base.errors import UserError
from ds2.models.chat import Answer
from ds2.models.chat.answer_log import FILE, AnswerLog

ANSWER = Answer("k", "text \u00e9", "length", 10, 4, 3, (0.5, 0.5), "m")


def logged(folder: Path) -> int:
    with closing(sqlite3.connect(folder / FILE)) as db:
        return int(db.execute("SELECT count(*) FROM answers").fetchone()[0])


def test_a_full_disk_is_one_line(tmp_path):
    with AnswerLog(tmp_path) as log:
        log.add(ANSWER)
        log._db.execute("PRAGMA max_page_count = 1")
        with pytest.raises(
            UserError, match=r"the log .*answers.sqlite cannot be used: database or disk is full"
        ):
            log.add(Answer("large", "text" * 10_000))


def test_an_answer_comes_back_as_it_was(tmp_path):
    with AnswerLog(tmp_path) as log:
        assert log.get("k") is None
        log.add(ANSWER)
    with AnswerLog(tmp_path) as log:
        assert log.get("k") == ANSWER


def test_the_first_answer_under_a_key_stays(tmp_path):
    with AnswerLog(tmp_path) as log:
        log.add(ANSWER)
        log.add(Answer("k", "another"))
        assert log.get("k") == ANSWER
        assert logged(tmp_path) == 1


def test_a_failed_delivery_is_no_answer(tmp_path):
    with AnswerLog(tmp_path) as log:
        log.add(Answer("k", "timed out", "failed"))
        assert log.get("k") is None


def test_an_answer_is_on_disk_when_add_returns(tmp_path):
    with AnswerLog(tmp_path) as log:
        log.add(ANSWER)
        other = sqlite3.connect(tmp_path / FILE)
        assert other.execute("SELECT count(*) FROM answers").fetchone() == (1,)


def write(folder, name):
    with AnswerLog(folder) as log:
        for i in range(300):
            log.add(Answer(f"{name}{i}", "text"))
            log.add(Answer(f"shared{i}", name))


def test_processes_write_at_once(tmp_path):
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=write, args=(tmp_path, name)) for name in "abc"]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert logged(tmp_path) == 4 * 300


def test_a_file_that_is_no_log_is_one_error(tmp_path):
    (tmp_path / FILE).write_bytes(b"something else" * 100)
    with pytest.raises(UserError, match=r"answers\.sqlite cannot be used"):
        AnswerLog(tmp_path)
