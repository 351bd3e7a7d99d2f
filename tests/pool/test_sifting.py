"""Evaluation questions and near-duplicates in a pool, and what is left of it."""

from __future__ import annotations

import json

import pytest

from ds2.base.errors import UserError
from ds2.config import FilesPoolConfig, OnContamination
from ds2.pool import PoolSource
from ds2.pool.questions import question_of, read_questions
from ds2.pool.sifting import CONTAMINATED, NEAR_DUPLICATE, sieve_of, sift

QUESTION = "A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts does it take?"
ROWS = [
    {"id": name, "messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": told}]}
    for name, asked, told in (
        ("a", "Name a river.", "The Nile."),
        ("b", QUESTION.lower(), "3"),
        ("c", "Name a river!", "the nile"),
        ("d", "Name a lake.", "Chad."),
    )
]
QUESTIONS = {"robes": ["How many moons has the planet Mars in all?", QUESTION]}


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))

    def made(**options) -> PoolSource:
        return PoolSource(FilesPoolConfig(path=str(path), **options), num_scores=6)

    return made


def test_hits_and_copies_name_samples_and_what_they_hold(source):
    pool = source(near_duplicates=1, decontaminate=["robes"])
    found = sift(pool.load(), pool.config, QUESTIONS)
    (hit,) = found.hits
    assert (hit.position, hit.set, hit.question, hit.share, hit.asked) == (1, "robes", 1, 1.0, QUESTION)
    (copy,) = found.copies
    assert (copy.position, copy.of, copy.similarity) == (2, 0, 1.0)
    assert found.by_set() == [("robes", 2, 1, 1)]
    assert found.in_words() == "1 sample holds 1 of 2 questions of robes"


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"decontaminate": ["robes"]}, ["a", "c", "d"]),
        ({"decontaminate": ["robes"], "near_duplicates": 1}, ["a", "d"]),
        ({"decontaminate": ["robes"], "on_contamination": OnContamination.warn}, ["a", "b", "c", "d"]),
        ({"near_duplicates": 1}, ["a", "b", "d"]),
    ],
)
def test_what_is_left_of_the_pool(source, options, left):
    whole = source(**options)
    found = sift(whole.load(), whole.config, QUESTIONS if "decontaminate" in options else {})
    pool = whole.through(sieve_of(whole.config, "f", lambda: found)).load()
    assert pool.ids == [sample.id for sample in pool.samples] == left
    assert pool.rows == [sample.row for sample in pool.samples]
    assert [s.id for s in pool.samples[:2]] == left[:2]
    assert pool.samples[-1].id == "d"
    assert sum(pool.dropped.values()) == 4 - len(left)
    assert set(pool.dropped) <= {CONTAMINATED, NEAR_DUPLICATE}


def test_the_pool_is_another_one_only_where_something_may_be_left_out(source):
    whole = source().fingerprint
    asked = source(decontaminate=["robes"])
    assert asked.fingerprint == whole
    warns = source(decontaminate=["robes"], on_contamination=OnContamination.warn)
    assert sieve_of(warns.config, "f", dict) is None
    others = [asked.through(sieve_of(asked.config, name, dict)).fingerprint for name in "fg"]
    assert len({whole, *others}) == 3
    assert asked.through(sieve_of(asked.config, "f", dict)).whole.fingerprint == whole


def test_a_pool_of_which_nothing_is_left_is_refused(source):
    whole = source(decontaminate=["all"])
    asked = {"all": ["Name a river.", "Name a lake.", QUESTION]}
    pool = whole.load().without(dict.fromkeys(range(3), CONTAMINATED))
    assert pool.ids == ["d"]
    found = sift(whole.load(), whole.config, asked)
    with pytest.raises(UserError, match="no sample of the pool is left: 4 hold a question"):
        whole.through(sieve_of(whole.config, "f", lambda: found)).load()


def test_questions_of_a_file(tmp_path):
    text = tmp_path / "own.txt"
    text.write_text("\ufeffFirst?\n\n  Second?  \n", encoding="utf-8")
    assert read_questions(text) == ["First?", "Second?"]
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        '{"question": "Q1?", "answer": "a"}\n{"messages": [{"role": "user", "content": "Q2?"}, '
        '{"role": "assistant", "content": "a"}]}\n"Q3?"\n{"input": "Q4?", "target": "x"}\n'
    )
    assert read_questions(rows) == ["Q1?", "Q2?", "Q3?", "Q4?"]
    examples = tmp_path / "task.json"
    examples.write_text(json.dumps({"examples": [{"input": "Q?", "target": "t"}]}))
    assert read_questions(examples) == ["Q?"]


def test_a_short_question_is_read_with_its_choices():
    choices = ["the first", "the second"]
    assert (
        question_of({"question": "Which is true?", "choices": choices})
        == "Which is true?\nthe first\nthe second"
    )
    assert question_of({"question": QUESTION, "choices": choices}) == QUESTION
    hub = {"question": "Which is true?", "choices": {"text": choices, "label": ["A", "B"]}}
    assert question_of(hub) == "Which is true?\nthe first\nthe second"
    assert question_of({"answer": "a"}) is None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.jsonl", '{"answer": "a"}\n', "q.jsonl, row 1 holds no question"),
        ("q.txt", "\n\n", "q.txt holds no question"),
        ("q.md", "What is it?\n", "has a name that ends in .txt"),
    ],
)
def test_a_file_without_questions_is_refused_by_name(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        read_questions(tmp_path / name)
