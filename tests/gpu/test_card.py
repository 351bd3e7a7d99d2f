"""On a CUDA device: what a card computes is what a CPU computes, and the chain runs there.

python -m pytest -m gpu tests/gpu
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ds2.artifacts import adapter
from ds2.artifacts.evaluation import Evaluation
from ds2.artifacts.record import find_artifacts
from ds2.base.paths import project_root
from ds2.config import FinetuneConfig, FinetuneRuntime, Quantization
from ds2.method.curation.api import curate
from ds2.method.knn import knn_graph
from finetune.spec import FinetuneSpec
from finetune.train import train

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.gpu, pytest.mark.timeout(300)]
ROUNDING = 1e-6
"""Distances that float32 cannot tell apart (`ds2/method/knn.py`)."""
Train = Callable[..., tuple[dict[str, Any], np.ndarray]]


@pytest.fixture(scope="module", autouse=True)
def card() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")


def clustered(rows: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings around the centres of clusters, every 50th row a copy of the one before; and true scores."""
    rng = np.random.default_rng(0)
    cluster = rng.integers(0, 40, rows)
    x = rng.standard_normal((40, width))[cluster] + 0.5 * rng.standard_normal((rows, width))
    x[49::50] = x[48:-1:50]
    return x.astype(np.float32), rng.integers(0, 6, 40)[cluster]


def test_a_graph_of_the_card_is_that_of_a_cpu() -> None:
    x, _ = clustered(20_000, 96)
    cpu, cuda = (knn_graph(x, 32, device=device) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(cuda.distances, cpu.distances, atol=ROUNDING)
    rows, places = np.nonzero(cuda.neighbors != cpu.neighbors)
    assert len(rows) < 0.001 * cpu.neighbors.size
    gap = np.abs(cpu.distances[rows, places] - cuda.distances[rows, places])
    assert (gap <= ROUNDING).all()


@pytest.mark.parametrize("method", ["rank", "refine", "posterior"])
def test_curation_with_a_graph_of_the_card_comes_to_the_same(method: str) -> None:
    x, truth = clustered(4000, 64)
    noise = np.random.default_rng(1)
    scores = np.where(noise.random(len(x)) < 0.3, noise.integers(0, 6, len(x)), truth)
    cpu, cuda = (curate(x, scores, method=method, device=device) for device in ("cpu", "cuda"))
    assert cpu.transition is not None
    assert cuda.transition is not None
    np.testing.assert_allclose(cuda.transition, cpu.transition, atol=1e-4)
    assert (cuda.curated == cpu.curated).mean() > 0.999


@pytest.fixture
def tuned(tmp_path: Path) -> Train:
    """Train a Llama of 4 layers on 64 samples; metrics and losses."""
    from ds2.models.tiny import byte_tokenizer

    tokenizer = byte_tokenizer()
    base = tmp_path / "base"
    torch.manual_seed(0)
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=32_000, hidden_size=256, intermediate_size=512, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=1024,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(base)
    tokenizer.save_pretrained(base)
    words = ("oak", "elm", "yew", "ash")
    rows = [
        {"id": str(i), "messages": [
            {"role": "user", "content": f"say {words[i % 4]}"},
            {"role": "assistant", "content": " ".join([words[i % 4]] * (1 + i % 40))}]}
        for i in range(64)
    ]  # fmt: skip
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def run(name: str, runtime: dict[str, Any] | None = None, **changes: Any) -> Any:
        config = FinetuneConfig(name=name, rank=8, dropout=0.0, learning_rate=3e-3, epochs=4, total_batch=16,
                                max_tokens=512, dtype="float32")  # fmt: skip
        config = replace(config, **changes, runtime=FinetuneRuntime(device_batch=8, **(runtime or {})))
        out = tmp_path / name
        out.mkdir()
        metrics = train(FinetuneSpec(str(base), None, str(file), str(out), 7, config, progress=False))
        return metrics, np.array(adapter.read_curve(out)["loss"])

    return run


def test_a_fine_tune_on_the_card_learns_and_knows_its_use(tuned: Train) -> None:
    metrics, losses = tuned("plain", dtype="bfloat16")
    assert losses[-1] < losses[0] - 1
    assert 0 < metrics["mfu"] < 1
    assert 0 < metrics["peak_memory_bytes"] < torch.cuda.get_device_properties(0).total_memory


@pytest.mark.parametrize("kernels", ["torch", "liger"])
def test_packed_rows_and_fused_kernels_learn_the_same(tuned: Train, kernels: str) -> None:
    if kernels == "liger":
        pytest.importorskip("liger_kernel")
    _, padded = tuned("padded")
    _, packed = tuned("packed", {"packing": True, "kernels": kernels})
    np.testing.assert_allclose(packed, padded, atol=5e-3)


def test_the_loss_in_parts_is_the_plain_loss_on_the_card(
    tuned: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, plain = tuned("plain")
    monkeypatch.setattr("finetune.loss.LARGE", 0)
    _, parts = tuned("parts")
    np.testing.assert_allclose(parts, plain, atol=5e-3)


def test_four_bit_weights_learn(tuned: Train) -> None:
    pytest.importorskip("bitsandbytes")
    _, losses = tuned("nf4", quantization=Quantization.nf4, dtype="bfloat16")
    assert losses[-1] < losses[0] - 1


def test_the_whole_chain_runs_on_the_card_in_processes_of_its_own(planted_pool: Path, tmp_path: Path) -> None:
    pytest.importorskip("lm_eval")
    store = tmp_path / "artifacts"
    command = [
        sys.executable, "-m", "ds2", "pool=jsonl", f"pool.path={planted_pool}", "budget.samples=20",
        "rater=from_column", "rater.column=true_score", "scale.low=0", "scale.high=5", "model=tiny",
        "finetune=tiny", "finetune.max_steps=20", "finetune.dtype=bfloat16", "finetune.merge=true",
        "eval=tiny", "tracking=none", f"paths.artifacts={store}", "knn.runtime.device=cuda",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": f"{project_root()}:{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    (tuned,) = find_artifacts(store / "finetune")
    assert adapter.read_metrics(tuned)["mfu"] > 0
    (evaluated,) = find_artifacts(store / "evaluate")
    assert [result.task for result in Evaluation.read(evaluated).results] == ["mini_familiar"]
