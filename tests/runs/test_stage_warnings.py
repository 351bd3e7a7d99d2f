"""What the stages of training and evaluation say of samples and prompts that were cut."""

from __future__ import annotations

from ds2.artifacts.evaluation import Evaluation, Result
from ds2.config import FinetuneConfig
from ds2.runs.stages.evaluate import _warnings
from ds2.runs.stages.finetune import cut_samples

RECIPE = FinetuneConfig(name="tiny", max_tokens=150, token_share=0.001)


def test_cut_and_dropped_samples_are_counted_aloud():
    metrics = {"samples": 1_900, "truncated": 1_200, "dropped_without_assistant": 100}
    cut, dropped = cut_samples(metrics, RECIPE)
    assert cut == "1,200 of 2,000 samples are longer than finetune.max_tokens=150 and were cut there"
    assert dropped.startswith(
        "100 of 2,000 samples have no word of the assistant within finetune.max_tokens=150"
    )
    assert cut_samples({"samples": 9, "truncated": 0, "dropped_without_assistant": 0}, RECIPE) == ()


def test_samples_that_keep_no_token_are_counted_aloud():
    metrics = {"samples": 1, "truncated": 0, "dropped_without_assistant": 0, "dropped_by_cleaning": 39,
               "epochs": 320.0}  # fmt: skip
    (line,) = cut_samples(metrics, RECIPE)
    assert line.startswith(
        "39 of 40 samples keep no token under finetune.token_share=0.001 and were left out"
    )
    assert line.endswith("samples that are trained on: 1, passes over them: 320")
    assert cut_samples(metrics | {"dropped_by_cleaning": 0}, RECIPE) == ()


def test_prompts_that_did_not_fit_are_counted_aloud():
    results = [Result(task=task, metric="exact_match", value=0.5, stderr=None, n=200) for task in ("a", "b")]
    evaluation = Evaluation(
        results=results, average=0.5, scores={"a": 0.5, "b": 0.5}, context_tokens=1024,
        cut_prompts={"a": 12}, shortened_prompts={"b": 7},
    )  # fmt: skip
    cut, shortened = _warnings(evaluation)
    assert cut.startswith(
        "12 of 200 prompts of a are longer than the model takes (1024 tokens with the answer)"
    )
    assert "eval.on_long_prompts=drop_shots" in cut
    assert shortened.startswith("7 of 200 prompts of b")
    assert shortened.endswith("with fewer examples")
