from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from ds2.base.errors import UserError
from ds2.base.paths import project_root
from eval.answers import (
    exact_match,
    last_number,
    same_answer,
    score_bbh,
    score_file,
    score_gsm8k,
    token_f1,
    worked_answer,
)  # fmt: skip

EVALS = Path(os.environ.get("DS2_DATA", project_root().parent / "shared")) / "evals"
needs_evals = pytest.mark.skipif(not EVALS.is_dir(), reason=f"the real benchmark files are not in {EVALS}")


@pytest.mark.parametrize(
    ("prediction", "references", "f1", "exact"),
    [
        ("The cat.", ["a cat"], 1.0, 1.0),
        ("the big cat", ["cat"], 2 / 3, 0.0),
        ("cat cat", ["cat"], 2 / 3, 0.0),
        ("dog", ["cat", "Dog!"], 1.0, 1.0),
        ("", ["cat"], 0.0, 0.0),
        ("7,110,214 (2005)", ["7,110,214"], 2 / 3, 0.0),
    ],
)
def test_squad_scores_by_hand(prediction: str, references: list[str], f1: float, exact: float) -> None:
    assert token_f1(prediction, references) == pytest.approx(f1)
    assert exact_match(prediction, references) == exact


@needs_evals
def test_tydiqa_scores_equal_squads_on_a_real_models_answers() -> None:
    squad = pytest.importorskip("transformers.data.metrics.squad_metrics")
    path = EVALS / "tydiqa_900_with_predictions.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    run = subprocess.run(
        [sys.executable, "-m", "eval", "score", str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=project_root(),
    )
    scores = json.loads(run.stdout)
    languages = {row["lang"] for row in rows}
    assert set(scores) == languages | {"average"}
    assert len(languages) == 9
    for language in languages:
        predicted = [row for row in rows if row["lang"] == language]
        for key, metric in (("f1", squad.compute_f1), ("exact_match", squad.compute_exact)):
            best = [
                max(metric(a["text"], row["prediction_text"]) for a in row["answers"]) for row in predicted
            ]
            assert scores[language][key] == pytest.approx(100 * sum(best) / len(predicted))
        assert scores[language]["n"] == len(predicted) == 100
    assert scores["average"]["f1"] == pytest.approx(sum(scores[name]["f1"] for name in languages) / 9)


def test_a_file_that_holds_no_answered_questions_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(
        '{"lang": "english", "answers": [{"text": "x"}], "prediction_text": "x"}\n{"lang": "english"}\n'
    )
    with pytest.raises(UserError, match=r"answers\.jsonl, line 2"):
        score_file(path)
    path.write_text("")
    with pytest.raises(UserError, match="no answered questions"):
        score_file(path)
    with pytest.raises(UserError, match="no such file"):
        score_file(tmp_path / "nowhere.jsonl")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("so 3 + 4 = 7 dollars.", "7"), ("#### 1,450", "1450"), ("$1,450.00", "1450"), ("x = -5", "-5"),
        ("between 3-4", "4"), ("It costs .50", "0.5"), ("18.", "18"), ("5, 6, 7", "7"), ("none", None),
    ],
)  # fmt: skip
def test_the_last_number(text: str, number: str | None) -> None:
    assert last_number(text) == (None if number is None else Decimal(number))


@needs_evals
def test_gsm8k_gold_solutions_are_all_right_and_perturbed_ones_all_wrong() -> None:
    rows = [
        json.loads(line) for line in (EVALS / "gsm8k_test.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert len(rows) == 1319
    assert all(score_gsm8k(row, [row["answer"]])["exact_match"] == 1 for row in rows)
    for row in rows:
        gold = row["answer"].split("####")[1].strip()
        off_by_one = Decimal(gold.replace(",", "")) + 1
        assert score_gsm8k(row, [f"The answer is ${gold}."])["exact_match"] == 1
        assert (
            score_gsm8k(row, [row["answer"].replace(f"#### {gold}", f"#### {off_by_one}")])["exact_match"]
            == 0
        )
        assert score_gsm8k(row, ["I do not know."])["exact_match"] == 0


def bbh_names() -> list[str]:
    return sorted(path.stem for path in (EVALS / "bbh").glob("*.json")) or ["absent"]


@needs_evals
def test_all_27_bbh_tasks_are_there() -> None:
    assert len(bbh_names()) == 27


@needs_evals
@pytest.mark.parametrize("task", bbh_names())
def test_bbh_worked_answers_are_all_read(task: str) -> None:
    questions = json.loads((EVALS / "bbh" / f"{task}.json").read_text(encoding="utf-8"))["examples"]
    targets = {question["target"] for question in questions}
    prompt = (EVALS / "bbh_cot_prompts" / f"{task}.txt").read_text(encoding="utf-8")
    solutions = [part.split("\nQ: ")[0] for part in prompt.split("A: Let's think step by step.")[1:]]
    assert len(solutions) == 3
    for solution in solutions:
        last_words = solution.strip().splitlines()[-1].split("the answer is ")[1].removesuffix(".")
        assert worked_answer(solution) == last_words
        assert score_bbh({"target": last_words}, [solution])["exact_match"] == 1
    for question in questions:
        right = f"Let's see. So the answer is {question['target']}."
        assert score_bbh(question, [right])["exact_match"] == 1
        for other in targets - {question["target"]}:
            assert score_bbh(question, [f"So the answer is {other}."])["exact_match"] == 0


@pytest.mark.parametrize(
    ("given", "target", "same"),
    [
        ("(B)", "(B)", True), ("B)", "(b)", True), ("No", "no", True), ("] )", "])", True),
        ("] ]", "] )", False),
        ("apple  pear", "apple pear", True), ("pear apple", "apple pear", False), ("", "(A)", False),
        ("a", "(A)", True), ("a", "(B)", False),
    ],
)  # fmt: skip
def test_same_answer(given: str, target: str, same: bool) -> None:
    assert same_answer(given, target) is same


def test_an_answer_without_the_words_is_taken_whole() -> None:
    assert worked_answer(" Yes\n") == "Yes"
    assert worked_answer("The answer is (C) because it is. The answer is (D).") == "(C) because it is"
