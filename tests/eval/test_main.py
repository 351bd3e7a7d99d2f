from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ds2.artifacts.evaluation import Evaluation
from eval.__main__ import main
from eval.spec import EvalSpec, write_spec

MakeSpec = Callable[..., EvalSpec]


def test_a_spec_file_is_evaluated(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec(limit=1)
    write_spec(spec, tmp_path / "spec.json")
    assert main([str(tmp_path / "spec.json")]) == 0
    assert Evaluation.read(Path(spec.output_dir)).missing == []


def test_what_the_user_can_change_is_one_line_and_exit_code_2(
    make_spec: MakeSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_spec(make_spec(tasks=[]), tmp_path / "spec.json")
    assert main([str(tmp_path / "spec.json")]) == 2
    assert main(["score", str(tmp_path / "nowhere.jsonl")]) == 2
    assert main([str(tmp_path / "nowhere.json")]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert [line.split(": ")[0] for line in lines] == ["eval"] * 3


def test_scores_of_a_file_are_printed_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"lang": "english", "answers": [{"text": "a cat"}], "prediction_text": "The cat"},
        {"lang": "english", "answers": [{"text": "a cat"}], "prediction_text": "dog"},
        {"lang": "finnish", "answers": [{"text": "kissa"}], "prediction_text": "kissa"},
    ]
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["score", str(path)]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "english": {"f1": 50.0, "exact_match": 50.0, "n": 2},
        "finnish": {"f1": 100.0, "exact_match": 100.0, "n": 1},
        "average": {"f1": 75.0, "exact_match": 75.0, "n": 3},
    }


def test_no_argument_is_a_usage_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("usage: python -m eval")
