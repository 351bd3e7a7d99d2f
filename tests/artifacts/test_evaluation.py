from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ds2.artifacts.evaluation import AnsweredQuestion, Evaluation, Result, read_answered, write_answered
from ds2.base.errors import DamagedArtifact

EVALUATION = Evaluation(
    results=[
        Result(
            task="sums",
            metric="exact_match",
            filter="strict",
            value=0.5,
            stderr=0.1,
            n=20,
            num_fewshot=5,
            version=1.0,
        ),
        Result(task="sums", metric="nll", value=None, stderr=None, n=20),
    ],
    average=None,
    scores={"sums": 0.5},
    missing=["words"],
    errors={"words": "no network"},
    chat_template=True,
    harness_version="0.4",
    wall_seconds=1.5,
)


def test_an_evaluation_comes_back_as_it_was_written(tmp_path: Path) -> None:
    EVALUATION.write(tmp_path)
    assert Evaluation.read(tmp_path) == EVALUATION


def test_a_file_of_an_older_evaluation_is_read(tmp_path: Path) -> None:
    row = {
        "task": "sums",
        "metric": "em",
        "filter": "none",
        "value": 1,
        "stderr": None,
        "n": 2,
        "num_fewshot": 0,
        "version": 1.0,
    }
    content = {
        "results": [row],
        "average": 1.0,
        "scores": {"sums": 1.0},
        "missing": [],
        "harness_version": "0.4.13",
    }
    (tmp_path / "results.json").write_text(json.dumps(content))
    evaluation = Evaluation.read(tmp_path)
    assert (evaluation.average, evaluation.errors, evaluation.result("sums").value) == (1.0, {}, 1.0)


def test_a_task_s_own_score_is_its_first_result() -> None:
    assert EVALUATION.result("sums").metric == "exact_match"
    with pytest.raises(KeyError, match="words"):
        EVALUATION.result("words")


def _without(content: dict[str, Any]) -> None:
    del content["average"]


def _mistyped(content: dict[str, Any]) -> None:
    content["results"][1]["n"] = "20"


def _unknown(content: dict[str, Any]) -> None:
    content["mean"] = 0.5


def _untold(content: dict[str, Any]) -> None:
    content["scores"]["words"] = 0.5


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (_without, r"average: missing"),
        (_mistyped, r"results\[1\]\.n: expected int, got '20'"),
        (_unknown, r"mean: no such field"),
        (_untold, r"scores\.words: no result"),
    ],
)
def test_a_wrong_key_is_named_with_its_file_in_one_line(tmp_path: Path, damage: Any, named: str) -> None:
    EVALUATION.write(tmp_path)
    file = tmp_path / "results.json"
    content = json.loads(file.read_text())
    damage(content)
    file.write_text(json.dumps(content))
    with pytest.raises(DamagedArtifact, match=rf"results\.json is damaged: Evaluation\.{named}") as caught:
        Evaluation.read(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", '{"results": [', "[]"])
def test_a_file_that_was_cut_off_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(DamagedArtifact, match=r"results\.json is damaged: "):
        Evaluation.read(tmp_path)


def test_answered_questions_come_back_and_an_unknown_score_is_nan(tmp_path: Path) -> None:
    questions = [
        AnsweredQuestion("sums", 3, "1 + 1?", "2", "two", 1.0),
        AnsweredQuestion("sums", 4, "", "", "", None),
    ]
    write_answered(tmp_path, questions)
    table = read_answered(tmp_path)
    assert table is not None
    assert list(table) == ["task", "doc_id", "prompt", "target", "answer", "score"]
    assert table.loc[0].tolist() == ["sums", 3, "1 + 1?", "2", "two", 1.0]
    assert (table["doc_id"].dtype, table["score"].dtype) == (np.int64, np.float64)
    assert np.isnan(table["score"][1])
    one = read_answered(tmp_path, "answer")
    assert one is not None
    assert list(one) == ["answer"]


def test_an_evaluation_without_answers_has_none_and_a_damaged_table_is_named(tmp_path: Path) -> None:
    assert read_answered(tmp_path) is None
    (tmp_path / "samples.parquet").write_bytes(b"PAR1 no more")
    for columns in ((), ("task",)):
        with pytest.raises(DamagedArtifact, match=r"samples\.parquet is damaged"):
            read_answered(tmp_path, *columns)
    write_answered(tmp_path, [])
    with pytest.raises(DamagedArtifact, match=r"samples\.parquet is damaged: no column colour"):
        read_answered(tmp_path, "colour")
