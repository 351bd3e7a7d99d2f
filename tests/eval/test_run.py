from __future__ import annotations

import errno
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ds2.artifacts.evaluation import Evaluation, read_answered
from ds2.base.errors import MissingInput, UserError
from ds2.base.processes import Terminated, terminable
from ds2.mini import generate_questions
from eval.prepare import prepare_tasks
from eval.run import evaluate
from eval.spec import EvalSpec, read_spec, write_spec

MakeSpec = Callable[..., EvalSpec]


def answer_from_key(monkeypatch: pytest.MonkeyPatch, answer: Callable[[str], str]) -> None:
    """Replace the model's generation by a function of the prompt."""
    from lm_eval.models.huggingface import HFLM

    def generate_until(self: Any, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        return [answer(request.args[0]) for request in requests]

    monkeypatch.setattr(HFLM, "generate_until", generate_until)


def test_results_and_every_answer_are_kept(make_spec: MakeSpec, adapter: Path) -> None:
    spec = make_spec(adapter, tasks=["mini_familiar", "mini_new"])
    results = evaluate(spec)
    output = Path(spec.output_dir)
    assert Evaluation.read(output) == results
    assert [row.task for row in results.results] == ["mini_familiar", "mini_new"]
    row = results.results[0]
    assert (row.metric, row.n, row.num_fewshot, row.version) == ("exact_match", 6, 0, 1.0)
    assert (results.missing, results.harness_version, results.chat_template) == ([], "0.4.13", True)
    samples = read_answered(output)
    assert list(samples.columns) == ["task", "doc_id", "prompt", "target", "answer", "score"]
    assert len(samples) == 12
    question = generate_questions("new", samples=6, seed=0, pool_seed=0)[4]
    asked = samples[(samples["task"] == "mini_new") & (samples["doc_id"] == 4)].iloc[0]
    assert asked["prompt"] == f"<|user|>\n{question['prompt']}\n<|assistant|>\n"
    assert asked["target"] == question["answer"]


def test_right_answers_score_one_and_their_share_is_the_value(
    make_spec: MakeSpec, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = generate_questions("familiar", samples=8, seed=5, pool_seed=2)
    key = {f"<|user|>\n{q['prompt']}\n<|assistant|>\n": q["answer"] for q in questions}
    wrong = list(key)[:3]
    answer_from_key(monkeypatch, lambda prompt: "no" if prompt in wrong else f" {key[prompt]} ")
    spec = make_spec(adapter, data_samples=8, data_seed=5)
    spec.pool_seed = 2
    results = evaluate(spec)
    assert results.average == results.scores["mini_familiar"] == 5 / 8
    assert results.results[0].stderr == pytest.approx(math.sqrt(5 / 8 * 3 / 8 / 7))
    samples = read_answered(Path(spec.output_dir))
    assert samples["score"].tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    assert samples["answer"].tolist() == ["no"] * 3 + [q["answer"] for q in questions[3:]]


def test_the_adapter_changes_the_answers_and_the_base_gets_plain_prompts(
    make_spec: MakeSpec, adapter: Path
) -> None:
    base, tuned = make_spec(output="base"), make_spec(adapter, output="tuned")
    assert evaluate(base).chat_template is False
    evaluate(tuned)
    answers = [read_answered(Path(spec.output_dir)) for spec in (base, tuned)]
    assert (
        answers[0]["prompt"][0] == generate_questions("familiar", samples=6, seed=0, pool_seed=0)[0]["prompt"]
    )
    assert (answers[0]["answer"] != answers[1]["answer"]).any()


def test_two_evaluations_are_equal(make_spec: MakeSpec, adapter: Path) -> None:
    specs = [make_spec(adapter, output=name) for name in ("one", "two")]
    for spec in specs:
        evaluate(spec)
    pd.testing.assert_frame_equal(*(read_answered(Path(spec.output_dir)) for spec in specs))


def test_limit_takes_the_first_questions(make_spec: MakeSpec) -> None:
    assert evaluate(make_spec(limit=2)).results[0].n == 2


def test_a_task_that_fails_is_named_and_does_not_lose_the_others(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    import eval.data

    def broken(**_: Any) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(eval.data, "mini_new", broken)
    results = evaluate(make_spec(tasks=["mini_new", "mini_familiar"]))
    assert (results.missing, list(results.scores)) == (["mini_new"], ["mini_familiar"])
    assert results.errors == {"mini_new": "ConnectionError: no network"}
    with pytest.raises(UserError, match="no task could be evaluated: mini_new: ConnectionError: no network"):
        evaluate(make_spec(tasks=["mini_new"]))


@pytest.mark.parametrize(
    ("error", "raised", "said"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), OSError, "No space left on device"),
        (MemoryError("4 GiB"), UserError, r"^out of memory in mini_new: lower eval\.runtime\.batch_size"),
        (RuntimeError("alloc_cpu.cpp: can't allocate memory"), UserError, "^out of memory in mini_new"),
    ],
    ids=["full disk", "memory", "torch's memory"],
)
def test_what_the_other_tasks_lack_too_ends_the_evaluation(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, error: Exception, raised: type, said: str
) -> None:
    import eval.data

    def lacking(**_: Any) -> None:
        raise error

    monkeypatch.setattr(eval.data, "mini_new", lacking)
    spec = make_spec(tasks=["mini_new", "mini_familiar"])
    with pytest.raises(raised, match=said):
        evaluate(spec)
    assert not any(Path(spec.output_dir).iterdir())


def test_a_request_to_end_of_which_a_library_made_an_error_ends_the_evaluation(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    import eval.data

    def struck(**_: Any) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except BaseException as error:
            raise RuntimeError("a callback failed") from error

    monkeypatch.setattr(eval.data, "mini_new", struck)
    spec = make_spec(tasks=["mini_new", "mini_familiar"])
    with pytest.raises(Terminated), terminable():
        evaluate(spec)
    assert not any(Path(spec.output_dir).iterdir())
    with pytest.raises(Terminated), terminable():
        prepare_tasks(spec.config, base_model=spec.base_model, revision=None)


def test_an_empty_list_of_tasks_is_one_clear_line(make_spec: MakeSpec) -> None:
    with pytest.raises(UserError, match=r"eval\.tasks is empty"):
        evaluate(make_spec(tasks=[]))


def test_an_unknown_task_is_named_before_the_model_is_loaded(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lm_eval.tasks.manager

    folder = Path(__file__).parent  # in place of lm-eval's own tasks, whose index takes 10 s
    monkeypatch.setattr(lm_eval.tasks.manager, "__file__", str(folder / "manager.py"))
    spec = make_spec(tasks=["mini_familiar", "nosuch"])
    spec.base_model = "nowhere"
    with pytest.raises(UserError, match=r"eval\.tasks: nosuch is neither"):
        evaluate(spec)


def test_an_adapter_of_another_base_model_is_refused(
    make_spec: MakeSpec, adapter: Path, tmp_path: Path
) -> None:
    from ds2.models.tiny import build

    build(tmp_path / "other", seed=1)
    spec = make_spec(adapter)
    spec.base_model = str(tmp_path / "other")
    with pytest.raises(UserError, match="was trained on another base model") as caught:
        evaluate(spec)
    assert "\n" not in str(caught.value)


def test_an_adapter_of_other_shapes_is_refused_even_without_a_mark(
    make_spec: MakeSpec, adapter: Path, tmp_path: Path
) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    other = tmp_path / "other"
    shutil.copytree(adapter, other)
    (other / "base.json").unlink()
    weights = load_file(other / "adapter_model.safetensors")
    save_file(
        {name: tensor.repeat(2, 2) for name, tensor in weights.items()}, other / "adapter_model.safetensors"
    )
    with pytest.raises(UserError, match="does not fit base model"):
        evaluate(make_spec(other))


def test_a_missing_adapter_or_base_model_is_one_clear_line(make_spec: MakeSpec, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no adapter"):
        evaluate(make_spec(tmp_path / "nowhere"))
    spec = make_spec()
    spec.base_model = str(tmp_path / "nowhere")
    with pytest.raises(MissingInput, match="nowhere"):
        evaluate(spec)


def test_out_of_memory_names_the_settings_to_lower(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def answer(prompt: str) -> str:
        raise torch.OutOfMemoryError

    answer_from_key(monkeypatch, answer)
    with pytest.raises(UserError, match=r"lower eval\.runtime\.batch_size"):
        evaluate(make_spec())


def test_vllm_missing_is_one_clear_line(make_spec: MakeSpec) -> None:
    from importlib.util import find_spec

    from ds2.config import EvalBackend

    if find_spec("vllm"):
        pytest.skip("vLLM is installed")
    with pytest.raises(UserError, match=r"pip install 'ds2\[vllm\]'"):
        evaluate(make_spec(backend=EvalBackend.vllm))


def test_a_spec_comes_back_equal_from_its_file(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec(limit=3)
    write_spec(spec, tmp_path / "spec.json")
    assert read_spec(tmp_path / "spec.json") == spec
