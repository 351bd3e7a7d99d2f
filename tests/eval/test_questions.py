"""The questions of evaluation sets, as a pool is searched for them."""

from __future__ import annotations

import json

import pytest

from ds2.base.errors import MissingInput, UserError
from ds2.config import EvalConfig
from eval import questions
from eval.questions import questions_of


@pytest.fixture
def folder(tmp_path):
    rows = [{"question": f"Q{n}?", "answer": "a"} for n in range(300)]
    (tmp_path / "gsm8k_test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "truthfulqa.jsonl").write_text('{"question": "True?", "best_answer": "no"}\n')
    passages = [
        {"id": f"i{n}", "lang": lang, "context": "c", "question": f"{lang} {n}?", "answers": [{"text": "a"}]}
        for lang in ("english", "korean") for n in range(3)
    ]  # fmt: skip
    (tmp_path / "tydiqa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in passages))
    return tmp_path


def test_all_questions_of_a_set_are_read_whatever_is_asked_in_evaluation(folder):
    config = EvalConfig(data_dir=str(folder), subsample=True, limit=5)
    assert (
        questions_of("gsm8k", config) == questions_of("paper_gsm8k", config) == [f"Q{n}?" for n in range(300)]
    )
    assert questions_of("truthfulqa", config) == ["True?"]
    assert len(questions_of("tydiqa", config)) == 6


def test_generated_questions_are_those_of_the_evaluation():
    from ds2.mini import generate_questions

    asked = generate_questions("familiar", samples=8, seed=3, pool_seed=0)
    config = EvalConfig(data_samples=8, data_seed=3)
    assert questions_of("mini_familiar", config) == [row["prompt"] for row in asked]


def test_questions_of_a_task_of_the_harness_are_those_of_its_rows(monkeypatch):
    class Task:
        def has_test_docs(self):
            return True

        def test_docs(self):
            yield {"question": "Which is it?", "choices": ["one", "two"]}
            yield {"sentence": "no field of ours"}

        def doc_to_text(self, row):
            return f"asked: {row['sentence']}"

    class Manager:
        all_tasks = ("arc", "mmlu")

        def __init__(self, **_):
            pass

        def load(self, names):
            assert names == ["arc"]
            return {"tasks": {"arc": Task()}}

    monkeypatch.setattr("lm_eval.tasks.TaskManager", Manager)
    assert questions_of("arc", EvalConfig()) == ["Which is it?\none\ntwo", "asked: no field of ours"]
    with pytest.raises(
        UserError, match="pool.decontaminate: arx is neither a task .* near it: arc; nor a file"
    ):
        questions_of("arx", EvalConfig())


def test_questions_that_cannot_be_had_are_named(folder, monkeypatch):
    with pytest.raises(MissingInput, match="boolean_expressions.json"):
        questions_of("bbh", EvalConfig(data_dir=str(folder)))

    def no_network(*_):
        raise ConnectionError("the hub cannot be reached")

    monkeypatch.setattr(questions.data, "gsm8k_rows", no_network)
    with pytest.raises(
        MissingInput, match="questions of gsm8k cannot be had .the hub cannot.* or name a file"
    ):
        questions_of("gsm8k", EvalConfig())
