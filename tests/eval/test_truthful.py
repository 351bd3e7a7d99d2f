from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ds2.artifacts.evaluation import read_answered
from eval import truthful
from eval.run import evaluate
from eval.spec import EvalSpec

MakeSpec = Callable[..., EvalSpec]
ANSWERS = {"Is fire cold?": "No.", "Is ice warm?": "Yes.", "Who am I?": "I have no comment.", "Why?": ""}


@pytest.fixture
def spec(make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EvalSpec:
    """Four questions, which the model answers as above."""
    from lm_eval.models.huggingface import HFLM

    rows = [{"question": question, "best_answer": "?"} for question in ANSWERS]
    (tmp_path / "truthfulqa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def generate_until(self: Any, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        asked = [request.args[0].rsplit("Q: ", 1)[-1].removesuffix("\nA:") for request in requests]
        return [f" {ANSWERS.get(question, 'x')}" for question in asked]

    monkeypatch.setattr(HFLM, "generate_until", generate_until)
    return make_spec(
        tasks=["paper_truthfulqa"], data_dir=str(tmp_path), truth_judge="truth", info_judge="info"
    )


def test_the_score_is_the_share_of_answers_that_are_true_and_informative(
    spec: EvalSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    truths = {("Is fire cold?", "No."), ("Who am I?", "I have no comment."), ("Why?", "")}
    informs = {("Is fire cold?", "No."), ("Is ice warm?", "Yes.")}
    known = {("truth", "True:"): truths, ("info", "Helpful:"): informs}

    def ask(judge: str, mark: str, pairs: list[tuple[str, str]], spec: EvalSpec) -> list[bool]:
        return [pair in known[judge, mark] for pair in pairs]

    monkeypatch.setattr(truthful, "ask_judge", ask)
    results = evaluate(spec)
    values = {row.metric: row.value for row in results.results}
    assert values == {"true_and_informative": 0.25, "true": 0.75, "informative": 0.5, "answered": 0.75}
    assert results.average == 0.25
    samples = read_answered(Path(spec.output_dir))
    assert samples["score"].tolist() == [1, 0, 0, 0]
    assert samples["answer"].str.strip().tolist() == list(ANSWERS.values())


def test_a_missing_judge_is_named_and_the_answers_are_kept(spec: EvalSpec, tmp_path: Path) -> None:
    spec.config.tasks = ["paper_truthfulqa", "mini_new"]
    spec.config.truth_judge = str(tmp_path / "nowhere")
    results = evaluate(spec)
    assert results.missing == ["paper_truthfulqa"]
    assert "nowhere cannot be loaded" in results.errors["paper_truthfulqa"]
    assert list(results.scores) == ["mini_new"]
    samples = read_answered(Path(spec.output_dir))
    assert (samples["task"] == "paper_truthfulqa").sum() == 4


def test_a_judges_verdict_is_the_likelier_of_yes_and_no(
    tiny_model: Path, make_spec: MakeSpec, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    yes, no = (tokenizer(letter)["input_ids"][0] for letter in "yn")
    pairs = [("Is fire cold?", "No."), ("Why?", "")]
    expected = []
    for question, answer in pairs:
        ids = tokenizer(f"Q: {question}\nA: {answer}\nTrue: ", return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            logits = model(ids).logits[0, -1]
        expected.append(bool(logits[yes] > logits[no]))
    assert truthful.ask_judge(str(tiny_model), truthful.TRUE, pairs, make_spec()) == expected

    model.lm_head.weight.data[[yes, no]] = model.lm_head.weight.data[[no, yes]]
    model.save_pretrained(tmp_path / "contrary")
    tokenizer.save_pretrained(tmp_path / "contrary")
    contrary = truthful.ask_judge(str(tmp_path / "contrary"), truthful.TRUE, pairs, make_spec())
    assert contrary == [not verdict for verdict in expected]
