from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ds2.config import EvalBackend, EvalConfig, EvalRuntime
from eval.checks import config_problems, own_tasks, task_problems


def settings(**changes: Any) -> EvalConfig:
    runtime = {key: changes.pop(key) for key in list(changes) if hasattr(EvalRuntime(), key)}
    given = {"tasks": ["mini_new"], "data_samples": 4} | changes
    return EvalConfig(name="test", **given, runtime=EvalRuntime(**runtime))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": []}, "eval.tasks is empty: name a task, or use eval=none"),
        ({"limit": 0}, "eval.limit=0 must be at least 1, or null"),
        ({"data_samples": 0}, "eval.data_samples=0 must be at least 1: mini_new asks so many "
         "generated questions"),
        ({"batch_size": 0}, "eval.runtime.batch_size=0 must be at least 1"),
        ({"threads": 0}, "eval.runtime.threads=0 must be at least 1"),
        ({"dtype": "float12"}, "eval.dtype=float12 is unknown: use one of float32, bfloat16, float16"),
        ({"device": "gpu"}, "eval.runtime.device=gpu is unknown: use auto, cpu, mps, cuda, or cuda:1 for the "
         "second GPU"),
        ({"companions": ["mini_new"]}, "eval.tasks: mini_new is asked twice"),
        ({"data_dir": "/nope"}, "eval.data_dir=/nope: no such folder"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_option(changes: dict[str, Any], message: str) -> None:
    assert config_problems(settings()) == []
    assert config_problems(settings(**changes)) == [message]


def test_a_device_that_is_not_there_is_named() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    told = "eval.runtime.device={}: this machine has no GPUs; use auto"
    assert config_problems(settings(device="cuda")) == [told.format("cuda")]
    assert config_problems(settings(device="cuda:1")) == [told.format("cuda:1")]


def test_vllm_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.checks.find_spec", lambda package: None)
    (line,) = config_problems(settings(backend=EvalBackend.vllm))
    assert "pip install 'ds2[vllm]'" in line


def test_benchmark_files_that_are_missing_are_named(tmp_path: Path) -> None:
    tasks = ["paper_gsm8k", "paper_truthfulqa", "paper_tydiqa", "mmlu"]
    (line,) = config_problems(settings(tasks=tasks, data_dir=str(tmp_path)))
    assert line.endswith("has no gsm8k_test.jsonl, truthfulqa.jsonl, tydiqa.jsonl")
    for name in ("gsm8k_test.jsonl", "truthfulqa.jsonl", "tydiqa_dev.jsonl"):
        (tmp_path / name).touch()
    assert config_problems(settings(tasks=tasks, data_dir=str(tmp_path))) == []
    (line,) = config_problems(settings(tasks=["paper_bbh"], data_dir=str(tmp_path)))
    assert line.endswith("has no bbh/boolean_expressions.json, bbh/causal_judgement.json, "
                         "bbh/date_understanding.json and 24 more")  # fmt: skip


def test_our_tasks_and_the_papers_need_no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"mini_new", "mini_familiar", "paper_bbh", "paper_gsm8k"} <= own_tasks()
    monkeypatch.setattr("lm_eval.tasks.TaskManager", None)
    assert (
        task_problems(settings(tasks=["mini_new", "paper_gsm8k", "mmlu"], companions=["truthfulqa_mc2"]))
        == []
    )


def test_an_unknown_task_is_named_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    import lm_eval.tasks.manager

    folder = Path(__file__).parent  # in place of lm-eval's own tasks, whose index takes 10 s
    monkeypatch.setattr(lm_eval.tasks.manager, "__file__", str(folder / "manager.py"))
    (line,) = task_problems(settings(tasks=["mini_new", "mini_familar"]))
    assert line == (
        "eval.tasks: mini_familar is neither a task of eval/tasks/ nor one of lm-eval's; near it: "
        "mini_familiar"
    )
