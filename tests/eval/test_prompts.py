from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ds2.artifacts.evaluation import Evaluation, read_answered
from ds2.base.errors import UserError
from ds2.config import LongPrompts
from ds2.models.tiny import byte_tokenizer
from eval.prompts import Fitting
from eval.run import evaluate
from eval.spec import EvalSpec

MakeSpec = Callable[..., EvalSpec]


def on(model: str, spec: EvalSpec) -> tuple[Evaluation, Any]:
    spec.base_model = model
    return evaluate(spec), read_answered(Path(spec.output_dir))


def test_long_prompts_are_counted_and_the_samples_hold_what_was_asked(
    make_spec: MakeSpec, short_model: Callable[[int], str]
) -> None:
    whole, asked = on(short_model(400), make_spec(output="whole"))
    assert (whole.cut_prompts, whole.shortened_prompts, whole.context_tokens) == ({}, {}, 400)
    cut, kept = on(short_model(48), make_spec(output="cut"))
    room = 48 - 16  # so many tokens may be generated
    long = int((asked["prompt"].str.len() > room).sum())
    assert 0 < long < 6
    assert (cut.cut_prompts, cut.shortened_prompts, cut.context_tokens) == ({"mini_familiar": long}, {}, 48)
    assert kept["prompt"].tolist() == [prompt[-room:] for prompt in asked["prompt"]]


def test_long_prompts_can_end_the_evaluation(make_spec: MakeSpec, short_model: Callable[[int], str]) -> None:
    spec = make_spec(on_long_prompts=LongPrompts.fail)
    with pytest.raises(UserError, match=r"a prompt of mini_familiar has \d+ tokens, and the model takes 32"):
        on(short_model(48), spec)


def test_a_task_that_generates_more_than_the_model_takes_is_one_line(
    make_spec: MakeSpec, short_model: Callable[[int], str]
) -> None:
    with pytest.raises(UserError) as caught:
        on(short_model(16), make_spec())
    assert str(caught.value) == (
        "no task could be evaluated: mini_familiar: it generates up to 16 tokens, and the model takes 16 in "
        "all"
    )


@pytest.mark.parametrize("policy", [LongPrompts.warn, LongPrompts.drop_shots])
def test_examples_are_left_out_where_that_is_asked(
    make_spec: MakeSpec, short_model: Callable[[int], str], tmp_path: Path, policy: LongPrompts
) -> None:
    questions = [{"question": f"How many are {i} oaks?", "answer": f"#### {i}"} for i in range(2)]
    (tmp_path / "data").mkdir()
    lines = "".join(json.dumps(row) + "\n" for row in questions)
    (tmp_path / "data" / "gsm8k_test.jsonl").write_text(lines)
    spec = make_spec(tasks=["paper_gsm8k"], data_dir=str(tmp_path / "data"), on_long_prompts=policy)
    found, kept = on(short_model(1400), spec)
    examples = kept["prompt"].str.count("Q: ").sub(1).tolist()  # of eight
    if policy is LongPrompts.warn:
        assert (found.cut_prompts, found.shortened_prompts) == ({"paper_gsm8k": 2}, {})
        assert not kept["prompt"].str.startswith("Q: ").any()
    else:
        assert (found.cut_prompts, found.shortened_prompts) == ({}, {"paper_gsm8k": 2})
        assert kept["prompt"].str.startswith("Q: There are 15 trees").all()
        assert all(0 < count < 8 for count in examples)
    assert (kept["prompt"].str.len() <= 1400 - 512).all()
    assert kept["prompt"].str.contains("oaks?", regex=False).all()


class Choices:
    """A task of two choices, as much of it as prompts need; each example is ten bytes."""

    OUTPUT_TYPE = "multiple_choice"
    multiple_input = False
    config = SimpleNamespace(target_delimiter=" ", generation_kwargs=None)

    def __init__(self) -> None:
        from random import Random

        self.sampler = SimpleNamespace(rnd=Random(0))

    def doc_to_choice(self, doc: str) -> list[str]:
        return ["yes", "perhaps"]

    def fewshot_context(self, doc: str, num_fewshot: int) -> str:
        self.sampler.rnd.random()
        return "example.\n\n" * num_fewshot + doc


def lm(context: int) -> Any:
    tokenizer = byte_tokenizer()

    def encode(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    return SimpleNamespace(max_length=context, tokenizer=tokenizer, tok_encode=encode)


def test_a_prompt_leaves_room_for_the_longest_choice_and_the_last_token_is_free() -> None:
    for context, cut in ((27, 0), (26, 1)):  # 20 bytes and " perhaps", whose last token is not read
        task, fitting = Choices(), Fitting(lm(context), "t", LongPrompts.warn)
        fitting.watch(task)
        prompt = task.fewshot_context("question: ", num_fewshot=1)
        assert (fitting.cut, prompt) == (cut, "example.\n\nquestion: "[cut:])


def test_examples_of_later_questions_do_not_depend_on_dropped_ones() -> None:
    draws = []
    for context in (400, 27):
        task, fitting = Choices(), Fitting(lm(context), "t", LongPrompts.drop_shots)
        fitting.watch(task)
        prompt = task.fewshot_context("question: ", num_fewshot=3)
        assert prompt.count("example") == (1 if context == 27 else 3)
        assert (fitting.cut, fitting.shortened) == (0, int(context == 27))
        draws.append(task.sampler.rnd.random())
    assert draws[0] == draws[1]


def test_a_text_is_never_cut_within_a_character() -> None:
    task, fitting = Choices(), Fitting(lm(20), "t", LongPrompts.warn)
    fitting.watch(task)
    prompt = task.fewshot_context("日本語日本語", num_fewshot=1)
    assert "日本語日本語".endswith(prompt.lstrip("\ufffd"))
    assert len((prompt + " perhaps").encode()) <= 21
