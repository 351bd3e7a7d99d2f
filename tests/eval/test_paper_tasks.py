"""The paper's benchmarks, on the real files: prompts, examples, subsets, scores."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ds2.artifacts.evaluation import read_answered
from ds2.base.errors import UserError
from ds2.base.paths import project_root
from eval import data
from eval.run import evaluate, task_manager
from eval.spec import EvalSpec

EVALS = Path(os.environ.get("DS2_DATA", project_root().parent / "shared")) / "evals"
needs_evals = pytest.mark.skipif(not EVALS.is_dir(), reason=f"the real benchmark files are not in {EVALS}")
MakeSpec = Callable[..., EvalSpec]


def answer_with(monkeypatch: pytest.MonkeyPatch, answer: Callable[[str], str]) -> None:
    """Replace the model's generation by a function of the prompt, whose length is then no matter: the tiny
    model has a token for each byte, and a context for none of the longest questions.
    """
    from lm_eval.models.huggingface import HFLM

    def generate_until(self: Any, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        return [answer(request.args[0]) for request in requests]

    monkeypatch.setattr(HFLM, "generate_until", generate_until)
    monkeypatch.setattr(HFLM, "max_length", property(lambda self: 2**20))


def samples_of(spec: EvalSpec) -> pd.DataFrame:
    return read_answered(Path(spec.output_dir))


@needs_evals
def test_gsm8k_asks_the_200_with_eight_worked_examples_and_reads_the_last_number(
    make_spec: MakeSpec, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        json.loads(line) for line in (EVALS / "gsm8k_test.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    key = {row["question"]: row["answer"].split("####")[1].strip() for row in rows}

    def answer(prompt: str) -> str:
        question = prompt.rsplit("Q: ", 1)[1].split("\nA:")[0]
        number = key[question]
        return (
            f"2 + 2 = 4. The answer is ${number}."
            if int(number.replace(",", "")) % 2
            else "The answer is 0.5."
        )

    answer_with(monkeypatch, answer)
    spec = make_spec(adapter, tasks=["paper_gsm8k"], data_dir=str(EVALS))
    results = evaluate(spec)
    samples = samples_of(spec)
    odd = sum(int(last.replace(",", "")) % 2 for last in samples["target"])
    assert len(samples) == results.results[0].n == 200
    assert results.scores["paper_gsm8k"] == pytest.approx(odd / 200)
    assert 0 < odd < 200
    assert samples["prompt"].str.count("\nA: ").eq(8).all()
    assert (results.results[0].num_fewshot, results.results[0].version) == (8, 1.0)
    assert results.results[0].stderr > 0


@needs_evals
def test_bbh_averages_27_tasks_of_40_questions_with_three_worked_examples(
    make_spec: MakeSpec, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, lambda prompt: "So the answer is No.")
    spec = make_spec(adapter, tasks=["paper_bbh"], data_dir=str(EVALS))
    results = evaluate(spec)
    samples = samples_of(spec)
    assert samples["task"].value_counts().tolist() == [40] * 27
    assert samples["prompt"].str.count("A: Let's think step by step").eq(4).all()
    shares = samples["target"].str.lower().eq("no").groupby(samples["task"]).mean()
    assert results.scores["paper_bbh"] == pytest.approx(shares.mean())
    assert shares.max() > 0.3
    assert results.results[0].n == 1080


@needs_evals
def test_tydiqa_gives_one_example_and_averages_f1_over_nine_languages(
    make_spec: MakeSpec, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = EVALS / "tydiqa_900_with_predictions.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    english = {row["question"]: row["answers"][0]["text"] for row in rows if row["lang"] == "english"}

    def answer(prompt: str) -> str:
        return next(
            (text for question, text in english.items() if question in prompt.rsplit("Question:", 1)[-1]), ""
        )

    answer_with(monkeypatch, answer)
    spec = make_spec(adapter, tasks=["paper_tydiqa"], data_dir=str(EVALS))
    results = evaluate(spec)
    rows_by_task = {(row.task, row.metric): row.value for row in results.results}
    assert rows_by_task["tydiqa_goldp_en", "exact_match"] == 1
    assert rows_by_task["tydiqa_goldp_ko", "f1"] == 0
    assert results.scores["paper_tydiqa"] == pytest.approx(1 / 9)
    samples = samples_of(spec)
    assert samples["task"].value_counts().tolist() == [99] * 9  # the first of each is the example
    assert samples["score"].groupby(samples["task"]).mean()["tydiqa_goldp_en"] == 1


@needs_evals
def test_tydiqa_passages_are_cut_at_512_tokens(tiny_model: Path) -> None:
    splits = data.tydiqa(
        language="english",
        data_dir=str(EVALS),
        subsample=True,
        tokenizer=str(tiny_model),
        tokenizer_revision=None,
    )
    longest = max(
        len(context.encode()) for context in splits["test"]["context"]
    )  # the tiny model's tokens are bytes
    assert longest == 512
    assert len(splits["train"]) == 1
    assert splits["train"]["question"][0] not in splits["test"]["question"]


def test_a_subset_is_the_same_each_time_and_full_means_all(tmp_path: Path) -> None:
    rows = [{"question": str(i), "answer": f"#### {i}"} for i in range(300)]
    (tmp_path / "gsm8k_test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, again = (data.gsm8k(data_dir=str(tmp_path), subsample=True)["test"]["question"] for _ in range(2))
    assert list(first) == list(again)
    assert len(set(first)) == 200
    assert len(data.gsm8k(data_dir=str(tmp_path), subsample=False)["test"]) == 300


def test_a_missing_file_is_named_before_any_task_is_asked(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec(tasks=["paper_gsm8k", "mini_new"], data_dir=str(tmp_path), limit=1)
    with pytest.raises(UserError, match=r"eval\.data_dir=.* has no gsm8k_test\.jsonl"):
        evaluate(spec)
    assert not (Path(spec.output_dir) / "results.json").exists()  # a stage with a hole would be reused


def test_companions_are_shown_and_left_out_of_the_average(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ds2.mini import generate_questions

    key = {q["prompt"]: q["answer"] for q in generate_questions("new", samples=6, seed=0, pool_seed=0)}
    answer_with(monkeypatch, lambda prompt: key.get(prompt, "no"))
    results = evaluate(make_spec(tasks=["mini_familiar"], companions=["mini_new"]))
    assert (results.scores["mini_new"], results.average) == (1.0, results.scores["mini_familiar"])
    assert results.average < 1


def test_the_papers_tasks_need_no_full_index(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    import lm_eval.tasks

    original = lm_eval.tasks.TaskManager

    def partial_index_only(**options: Any) -> Any:
        assert options["include_defaults"] is False
        return original(**options)

    monkeypatch.setattr(lm_eval.tasks, "TaskManager", partial_index_only)
    names = ["mmlu", "truthfulqa_mc2", "paper_gsm8k", "paper_bbh", "paper_tydiqa"]
    assert set(names) <= set(task_manager(make_spec(tasks=names)).all_tasks)
