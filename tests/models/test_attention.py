"""Attention is asked of kernels that need no plan for a length that they have not seen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ds2.config import (
    ChatBackend,
    EvalConfig,
    EvalRuntime,
    FinetuneConfig,
    FinetuneRuntime,
    LlmRaterConfig,
    RaterRuntime,
    Reading,
)
from ds2.models.attention import attention_of_any_length
from ds2.models.chat import ChatRequest, Place, open_backend
from ds2.models.pretrained import load_model, load_tokens
from ds2.models.reader import Encoded, LanguageModel
from ds2.rating.prompt import answer_form
from eval.run import evaluate
from eval.spec import EvalSpec
from finetune.spec import FinetuneSpec
from finetune.train import train

torch = pytest.importorskip("torch")
Place_of_use = Callable[[Path, Path], object]


@pytest.fixture
def with_cudnn() -> bool:
    """That it is allowed, as in a process that has just begun; and so again afterwards."""
    found = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(True)
    yield True
    torch.backends.cuda.enable_cudnn_sdp(found)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each call of torch's attention, whether cuDNN's kernels were among those it may take."""
    calls: list[bool] = []
    plain = torch.nn.functional.scaled_dot_product_attention

    def attention(*arrays: Any, **options: Any) -> Any:
        calls.append(torch.backends.cuda.cudnn_sdp_enabled())
        return plain(*arrays, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", attention)
    return calls


def rows_of(folder: Path) -> Path:
    path = folder / "rows.jsonl"
    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "because"}]
    path.write_text("".join(json.dumps({"id": str(i), "messages": turns}) + "\n" for i in range(4)))
    return path


def fine_tune(model: Path, folder: Path) -> object:
    config = FinetuneConfig(
        name="test", rank=4, dropout=0.0, max_steps=1, total_batch=4, max_tokens=64, dtype="float32",
        runtime=FinetuneRuntime(packing=True),
    )  # fmt: skip
    (folder / "tuned").mkdir()
    where = (str(rows_of(folder)), str(folder / "tuned"))
    return train(FinetuneSpec(str(model), None, *where, 7, config, progress=False))


def evaluate_tasks_and_rows(model: Path, folder: Path) -> object:
    config = EvalConfig(
        name="test", tasks=["mini_familiar"], data_samples=2, held_out=[str(rows_of(folder))],
        dtype="float32", runtime=EvalRuntime(device="cpu"),
    )  # fmt: skip
    return evaluate(EvalSpec(str(model), None, None, str(folder), 3, config, progress=False))


def rate(model: Path, folder: Path) -> object:
    config = LlmRaterConfig(
        name="tiny", backend=ChatBackend.transformers, model=str(model), reading=Reading.expected,
        runtime=RaterRuntime(batch_size=2),
    )  # fmt: skip
    with open_backend(config, answer_form(config.reading), None, Place(folder)) as backend:
        return list(backend.answers([ChatRequest("a", ({"role": "user", "content": "a"},), 0)]))


def read_perplexity(model: Path, folder: Path) -> object:
    reader = LanguageModel(load_model(model).eval(), load_tokens(model), 64, 2)
    text = Encoded(np.arange(5, 12), np.ones(7, np.bool_))
    return reader.mean_nll([text]), reader.weighted_states([text])


@pytest.mark.parametrize("use", [fine_tune, evaluate_tasks_and_rows, rate, read_perplexity])
def test_cudnn_is_not_asked_and_the_process_s_choice_stays(
    use: Place_of_use, with_cudnn: bool, asked: list[bool], tiny_model: Path, tmp_path: Path
) -> None:
    use(tiny_model, tmp_path)
    assert asked
    assert not any(asked)
    assert torch.backends.cuda.cudnn_sdp_enabled() is with_cudnn


def test_a_failure_leaves_the_choice_as_it_was(with_cudnn: bool) -> None:
    @attention_of_any_length()
    def fails() -> None:
        assert not torch.backends.cuda.cudnn_sdp_enabled()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert torch.backends.cuda.cudnn_sdp_enabled() is with_cudnn
