from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ds2.artifacts.evaluation import RESPONSE_LOSS, Evaluation, read_answered
from ds2.base.errors import UserError
from eval.checks import config_problems
from eval.run import evaluate
from eval.spec import EvalSpec

MakeSpec = Callable[..., EvalSpec]
ROWS = [
    ("What is two and two?", "four"),
    ("Say a colour", "a blue that is nearly green"),
    ("Why?", "because"),
]


@pytest.fixture
def apart(tmp_path: Path) -> str:
    path = tmp_path / "apart.v1.jsonl"
    path.write_text("".join(json.dumps({"messages": chat(*row)}) + "\n" for row in ROWS))
    return str(path)


def chat(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def direct_loss(model_folder: Path, question: str, answer: str) -> float:
    """The mean loss of an answer and its end, from the logits of the plain model in the Tulu format."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32).eval()
    asked = tokenizer(
        f"{tokenizer.bos_token}<|user|>\n{question}\n<|assistant|>\n", add_special_tokens=False
    )["input_ids"]
    said = tokenizer(f"{answer}{tokenizer.eos_token}", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([asked + said])).logits[0, len(asked) - 1 : -1]
    return float(torch.nn.functional.cross_entropy(logits, torch.tensor(said)))


def test_rows_kept_apart_are_read_where_lm_eval_is_not_installed(
    make_spec: MakeSpec, apart: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("eval.kept.version", no_version)
    monkeypatch.setattr("eval.run.version", no_version)
    assert evaluate(make_spec(tasks=[], held_out=[apart])).harness_version == ""
    with pytest.raises(PackageNotFoundError):
        evaluate(make_spec(output="asked", held_out=[apart]))


def test_a_file_s_score_is_the_mean_over_rows_of_a_response_s_mean_loss(
    make_spec: MakeSpec, tiny_model: Path, apart: str
) -> None:
    spec = make_spec(tasks=[], held_out=[apart])
    found = evaluate(spec)
    expected = np.array([direct_loss(tiny_model, *row) for row in ROWS])
    (result,) = found.results
    assert (result.task, result.metric, result.n, result.is_loss) == ("apart", RESPONSE_LOSS, 3, True)
    assert result.value == found.average == pytest.approx(expected.mean(), abs=1e-4)
    assert result.stderr == pytest.approx(expected.std(ddof=1) / np.sqrt(3), abs=1e-4)
    assert (found.average_is_loss, found.harness_version, found.missing) == (True, "", [])
    kept = read_answered(Path(spec.output_dir))
    assert kept["score"].to_numpy() == pytest.approx(expected, abs=1e-4)
    assert kept["target"].tolist() == [answer for _, answer in ROWS]
    assert Evaluation.read(Path(spec.output_dir)) == found


def test_how_many_rows_are_read_at_once_is_bounded_by_their_logits_and_changes_nothing(
    make_spec: MakeSpec, apart: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ds2.models.reader import LanguageModel

    together = evaluate(make_spec(tasks=[], held_out=[apart], output="together"))
    sizes = []
    whole = LanguageModel.mean_nll

    def counted(self: LanguageModel, texts: Any) -> Any:
        sizes.append(len(texts))
        return whole(self, texts)

    monkeypatch.setattr(LanguageModel, "mean_nll", counted)
    monkeypatch.setattr("eval.held_out.LOGITS_BYTES", 1)
    alone = evaluate(make_spec(tasks=[], held_out=[apart], output="alone"))
    assert sizes == [1, 1, 1]
    assert alone.average == pytest.approx(together.average, abs=1e-5)


def test_an_adapter_is_read_in_its_own_template_and_its_loss_is_its_own(
    make_spec: MakeSpec, adapter: Path, apart: str, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    from ds2.models.trained_tokens import set_template

    adapter = Path(shutil.copytree(adapter, tmp_path / "adapter"))
    tokenizer = AutoTokenizer.from_pretrained(adapter)
    set_template(tokenizer, "tulu")
    tokenizer.save_pretrained(adapter)
    base = evaluate(make_spec(tasks=[], held_out=[apart], output="base"))
    tuned = evaluate(make_spec(adapter, tasks=[], held_out=[apart], output="tuned"))
    assert tuned.average != base.average


def test_beside_tasks_it_stays_out_of_the_average(make_spec: MakeSpec, apart: str) -> None:
    found = evaluate(make_spec(held_out=[apart]))
    assert list(found.scores) == ["mini_familiar", "apart"]
    assert found.average == found.scores["mini_familiar"]
    assert not found.average_is_loss


def test_a_file_that_is_none_of_conversations_does_not_lose_the_others(
    make_spec: MakeSpec, apart: str, tmp_path: Path
) -> None:
    (tmp_path / "odd.jsonl").write_text('{"text": "no turns"}\n')
    found = evaluate(make_spec(tasks=[], held_out=[apart, str(tmp_path / "odd.jsonl")]))
    assert (found.missing, found.average) == (["odd"], None)
    assert "line 1: not a row with `messages`" in found.errors["odd"]


def test_rows_without_a_response_in_the_first_tokens_are_left_out(make_spec: MakeSpec, apart: str) -> None:
    found = evaluate(make_spec(tasks=[], held_out=[apart], held_out_tokens=36))
    assert (found.results[0].n, found.left_out) == (1, {"apart": 2})  # the shortest question
    with pytest.raises(UserError, match="no row has a response within 3 tokens"):
        evaluate(make_spec(tasks=[], held_out=[apart], held_out_tokens=3))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks": []}, "tasks is empty"),
        ({"held_out": ["/nowhere/apart.jsonl"]}, "eval.held_out: /nowhere/apart.jsonl: no such file"),
        ({"held_out": ["apart", "apart"]}, "apart is asked twice"),
        ({"held_out_tokens": 0}, "held_out_tokens=0 must be at least 1"),
    ],
)
def test_what_cannot_be_read_is_said_before_a_run(
    make_spec: MakeSpec, changes: dict[str, Any], said: str
) -> None:
    problems = config_problems(make_spec(**changes).config)
    assert any(said in problem for problem in problems), problems


def test_out_of_memory_ends_the_evaluation_in_one_line(
    make_spec: MakeSpec, apart: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nA page of figures")

    monkeypatch.setattr("eval.held_out.measure", full)
    with pytest.raises(UserError, match=r"^out of GPU memory in apart: lower eval\.runtime\.batch_size"):
        evaluate(make_spec(tasks=[], held_out=[apart]))
