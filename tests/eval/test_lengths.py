"""Prompts that would not fit are told of before anything is computed, as the evaluation tells of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ds2.base.errors import UserError
from ds2.config import EvalConfig, LongPrompts
from eval.lengths import long_prompts
from eval.run import evaluate
from eval.spec import EvalSpec


@pytest.fixture
def told(tiny_model: Path, tmp_path: Path) -> Callable[..., list[str]]:
    rows = [{"question": f"How many are {i} oaks?", "answer": f"#### {i}"} for i in range(2)]
    (tmp_path / "gsm8k_test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def tell(*tasks: str, context: int, template: str | None = None, **changes: Any) -> list[str]:
        config = EvalConfig(tasks=list(tasks), data_dir=str(tmp_path), data_samples=6, **changes)
        return long_prompts(
            config, base_model=str(tiny_model), revision=None, context=context, template=template
        )

    return tell


def test_tasks_whose_prompts_do_not_fit_are_named_and_others_are_not(told: Callable[..., list[str]]) -> None:
    (line,) = told(
        "paper_gsm8k", "mini_familiar", context=512 + 64
    )  # so many tokens may be generated, and some
    assert line.startswith("2 of 2 prompts of paper_gsm8k")
    assert "context of 576 tokens beside the answer and would lose their beginning" in line
    assert "drop_shots" in line
    (line,) = told("paper_gsm8k", context=1400, on_long_prompts=LongPrompts.drop_shots)
    assert line.endswith("would be asked with fewer examples")
    assert told("paper_gsm8k", context=4000) == []


def test_as_many_are_told_of_as_the_evaluation_cuts(
    told: Callable[..., list[str]], make_spec: Callable[..., EvalSpec], short_model: Callable[[int], str]
) -> None:
    spec = make_spec()
    spec.base_model = short_model(48)
    cut = evaluate(spec).cut_prompts["mini_familiar"]
    assert 0 < cut < 6
    (line,) = told("mini_familiar", context=48)
    assert line.startswith(f"{cut} of 6 prompts of mini_familiar")


def test_the_chat_template_of_the_fine_tune_counts(told: Callable[..., list[str]]) -> None:
    bare = told("mini_familiar", context=60)
    (line,) = told("mini_familiar", context=60, template="tulu")
    assert line.startswith("6 of 6 prompts")
    assert bare != [line]


def test_what_would_fail_is_refused(told: Callable[..., list[str]]) -> None:
    with pytest.raises(UserError, match="on_long_prompts=fail: a prompt of paper_gsm8k has"):
        told("paper_gsm8k", context=1400, on_long_prompts=LongPrompts.fail)
    with pytest.raises(UserError, match="eval.tasks: paper_gsm8k: it generates up to 512 tokens"):
        told("paper_gsm8k", context=512)


def test_benchmarks_that_are_not_at_hand_and_long_contexts_cost_nothing(
    told: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ds2.models.trained_tokens.load_tokenizer", None)
    assert told("mmlu", "paper_bbh", context=64) == []
    assert told("paper_gsm8k", "mini_familiar", context=8192) == []
