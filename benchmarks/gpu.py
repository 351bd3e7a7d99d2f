"""What one GPU does with the heavy parts of a run, in at most 12 minutes and without a hub.

    python benchmarks/gpu.py          one card of 80 GB
    python benchmarks/gpu.py --toy    each part at toy size, on a CPU too: measures nothing

Parts, each in a process of its own:

    graph       the exact graph of 300,000 rows of 1,024 numbers; 256 rows of it are compared with a CPU's
    cuvs        the same rows' graph by cuVS's NN-descent
    curation    `rank` and `refine` of the same number of rows, on a graph of clusters with known scores
    lengths     attention, forward and back, over rows of lengths that the process has not seen: with cuDNN's
                kernels, which make a plan for each, and as DS2 asks for it
    lora        LoRA on a model of Llama-3.1-8B's shape and random weights, rows packed to about 4,096 tokens
    liger       the same with Liger's fused norms, positions and gated layers
    four_bit    the same with the base model in 4 bits (bitsandbytes)
    fsdp        the same by two processes that share the weights out (FSDP 2), on two cards; --toy: a CPU
    rating      ratings a second by vLLM of the same model, the paper's prompt, prefixes cached
    rating_transformers    the same by transformers

A part that cannot run here is skipped with the reason; one that fails, or is not done in time, is named, and
the exit code is 1. Writes gpu-CARD.json and .md into benchmarks/results, with --toy into build/gpu-toy, with
--out DIR there; parts that an earlier call measured on the card stay, with their date.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from gpu_results import NORMALISED, RATED_TOKENS, Figures, machine, write
from numpy.typing import NDArray
from random_llama import LLAMA_3_1_8B, TOY, random_llama

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
LIMIT = 12 * 60
"""Seconds for all parts together."""


@dataclass(frozen=True)
class Size:
    rows: int
    width: int
    clusters: int
    steps: int
    rank: int
    ratings: int
    shape: dict[str, Any]


FULL = Size(300_000, 1024, 3000, steps=8, rank=64, ratings=2000, shape=LLAMA_3_1_8B)
SMALL = Size(3000, 64, 60, steps=4, rank=8, ratings=24, shape=TOY)
SAMPLE_TOKENS = 512
"""Tokens of a sample, 8 of which share a row: 4,096."""
FSDP = ROOT / "conf" / "finetune" / "accelerate" / "fsdp.yaml"


def embeddings(size: Size) -> NDArray[np.float32]:
    """(rows, width): each row near the centre of its cluster, row modulo clusters."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((size.clusters, size.width), dtype=np.float32)
    rows = rng.standard_normal((size.rows, size.width), dtype=np.float32)
    rows *= 0.7
    rows += centres[np.arange(size.rows) % size.clusters]
    return rows


def device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def cards() -> int:
    import torch

    return torch.cuda.device_count()


def graph(size: Size, _: Path) -> Figures:
    return _graph(size, "exact")


def cuvs(size: Size, _: Path) -> Figures:
    return _graph(size, "cuvs")


def _graph(size: Size, method: str) -> Figures:
    from ds2.method.knn import knn_graph, unit_rows

    x = embeddings(size)
    if device() == "cuda":
        knn_graph(x[:5000], device="cuda")  # the card's libraries are loaded
    began = time.perf_counter()
    found = knn_graph(x, method=method, device=device())
    seconds = time.perf_counter() - began
    unit, asked = unit_rows(x), np.linspace(0, size.rows - 1, 256, dtype=int)
    distances = 1 - unit[asked] @ unit.T
    distances[np.arange(len(asked)), asked] = np.inf
    known = np.argpartition(distances, found.k, axis=1)[:, : found.k]
    alike = [len(np.intersect1d(a, b)) / found.k for a, b in zip(known, found.neighbors[asked], strict=True)]
    every_pair = 2 * size.rows**2 * size.width
    done = {"TFLOP/s": round(every_pair / seconds / 1e12, 2)} if method == "exact" else {}
    return {
        "rows": size.rows, "width": size.width, "k": found.k, "search": found.search,
        "seconds": round(seconds, 2), **done, "share of a CPU's neighbours": round(float(np.mean(alike)), 5),
    }  # fmt: skip


def curation(size: Size, _: Path) -> Figures:
    from ds2.method.curation.api import curate
    from ds2.method.knn import knn_graph

    x = embeddings(size)
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 6, size.clusters)[np.arange(size.rows) % size.clusters]
    missed = rng.random(size.rows) < 0.3
    scores = np.where(missed, np.clip(truth + rng.choice((-1, 1), size.rows), 0, 5), truth)
    texts = [" ".join(f"w{word}" for word in (*rng.integers(0, 5000, 29), 5000 + row % size.clusters))
             for row in range(size.rows)]  # fmt: skip
    found = knn_graph(x, device=device())
    figures: Figures = {"rows": size.rows}
    for method in ("rank", "refine"):
        began = time.perf_counter()
        result = curate(x, scores, graph=found, method=method, texts=texts, device=device())
        figures[f"{method}, seconds"] = round(time.perf_counter() - began, 1)
    assert result.refined is not None
    tops = {name: np.argsort(-order, kind="stable")[: size.rows // 10]
            for name, order in (("given", scores), ("refined", result.refined))}  # fmt: skip
    figures |= {f"true score of the {name} top tenth": round(float(truth[top].mean()), 3)
                for name, top in tops.items()}  # fmt: skip
    return figures


def lengths(size: Size, _: Path) -> Figures:
    import torch

    from ds2.models.attention import attention_of_any_length

    heads, width = size.shape["num_attention_heads"], 64
    kind = torch.bfloat16 if device() == "cuda" else torch.float32

    def seconds(rows: range) -> float:
        began = time.perf_counter()
        for row in rows:
            shape = (1, heads, row, width)
            q, k, v = (torch.randn(shape, device=device(), dtype=kind, requires_grad=True) for _ in range(3))
            torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True).sum().backward()
        if device() == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - began) / len(rows)

    first, count = 130, 2 * size.steps
    figures: Figures = {"rows": count, "heads": heads, "width": width}
    seconds(range(100, 104))  # the card's libraries are loaded
    figures["as torch does it, ms a row"] = round(1000 * seconds(range(first, first + count)), 2)
    figures["the same lengths again"] = round(1000 * seconds(range(first, first + count)), 2)
    with attention_of_any_length():
        seconds(range(100, 104))
        figures["without cuDNN, ms a row"] = round(1000 * seconds(range(first, first + count)), 2)
    return figures


def lora(size: Size, folder: Path) -> Figures:
    return _fine_tune(size, folder)


def liger(size: Size, folder: Path) -> Figures:
    return _fine_tune(size, folder, kernels="liger")


def four_bit(size: Size, folder: Path) -> Figures:
    return _fine_tune(size, folder, four_bit=True)


def fsdp(size: Size, folder: Path) -> Figures:
    return _fine_tune(size, folder, devices=2)


def _fine_tune(
    size: Size, folder: Path, *, four_bit: bool = False, kernels: str = "torch", devices: int = 1
) -> Figures:
    """The recipe as it stands, `finetune.runtime.packing=true`; several devices share the weights out."""
    from ds2.artifacts import adapter
    from ds2.config import FinetuneConfig, FinetuneRuntime, RuntimeConfig
    from ds2.config.training import Quantization
    from ds2.runs import launcher

    base = _base(size, folder)
    rows = folder / "rows.jsonl"
    lengths = np.random.default_rng(0).integers(SAMPLE_TOKENS // 2, SAMPLE_TOKENS * 3 // 2, 16 * size.steps)
    with rows.open("w") as handle:
        for i, length in enumerate(lengths - 40):  # what the template adds; a token is a byte
            turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "x" * int(length)}]
            handle.write(json.dumps({"id": str(i), "messages": turns}) + "\n")
    config = FinetuneConfig(
        name="gpu", rank=size.rank, max_steps=size.steps, total_batch=16, max_tokens=2048, dropout=0.0,
        quantization=Quantization.nf4 if four_bit else Quantization.none,
        dtype="bfloat16" if device() == "cuda" else "float32",
        runtime=FinetuneRuntime(
            device_batch=8, packing=True, save_every_epoch=False, kernels=kernels, devices=devices,
            accelerate_config=None if devices == 1 else str(FSDP),
        ),
    )  # fmt: skip
    out = folder / f"{kernels}{'_four_bit' if four_bit else ''}_{devices}"
    out.mkdir()
    launcher.finetune(
        base_model=str(base), base_name=None, base_fingerprint="", revision=None,
        train_file=rows, output_dir=out, seed=0, config=config, runtime=RuntimeConfig(isolate="false"),
    )  # fmt: skip
    metrics = adapter.read_metrics(out)
    tokens = metrics["tokens"] / metrics["steps"] / metrics["accumulation"] / metrics["devices"]
    return {
        "devices": metrics["devices"], "parallelism": metrics["parallelism"],
        "parameters": metrics["parameters"], "trained": metrics["trainable_parameters"],
        "tokens a row": round(tokens), "steps": metrics["steps"],
        "tokens/s": round(metrics["tokens_per_second"], 1),
        "TFLOP/s": round(metrics["flops_per_second"] / 1e12, 3),
        "MFU": None if metrics["mfu"] is None else round(metrics["mfu"], 3),
        "peak memory, GiB": round(metrics["peak_memory_bytes"] / 2**30, 2),
    }  # fmt: skip


def rating(size: Size, folder: Path) -> Figures:
    return _rate(size.ratings, folder, size, "vllm")


def rating_transformers(size: Size, folder: Path) -> Figures:
    return _rate(size.ratings // 4, folder, size, "transformers")


def _rate(count: int, folder: Path, size: Size, backend: str) -> Figures:
    from rating_local import ask

    from ds2.config import ChatBackend, LlmRaterConfig, RaterRuntime, Reading
    from ds2.models.chat import Place, open_backend
    from ds2.rating.prompt import answer_form

    config = LlmRaterConfig(
        name="gpu", backend=ChatBackend(backend), model=str(_base(size, folder)), reading=Reading.expected,
        runtime=RaterRuntime(batch_size=64),
    )  # fmt: skip
    opened = open_backend(config, answer_form(config.reading), None, Place(Path()))
    told = ask(f"{backend}, expected", opened, config, count)
    a_prompt = told["prompt tokens"] / count
    read = a_prompt * (1 - told["of these cached"])
    return {
        **told, "a token is": "a byte", "tokens a prompt": round(a_prompt),
        NORMALISED: round(told["ratings a second"] * read / RATED_TOKENS, 2),
    }  # fmt: skip


def _base(size: Size, folder: Path) -> Path:
    """The random model, written by whichever part is first."""
    base = folder / "base"
    if not (base / "tokenizer_config.json").is_file():  # written last
        random_llama(base, size.shape)
    return base


PARTS: dict[str, Callable[[Size, Path], Figures]] = {
    "graph": graph, "cuvs": cuvs, "curation": curation, "lengths": lengths, "lora": lora, "liger": liger,
    "four_bit": four_bit, "fsdp": fsdp, "rating": rating, "rating_transformers": rating_transformers,
}  # fmt: skip


def why_not(part: str, *, toy: bool) -> str | None:
    """Why a part cannot run here; None: it can."""
    cuda = device() == "cuda"
    if not cuda and not toy:
        return "no CUDA device (--toy works without)"
    if part in ("cuvs", "liger") and not cuda:
        return "no CUDA device"
    if part == "fsdp" and cuda and cards() < 2:
        return "one card: two processes share the weights out over two"
    needed = {"cuvs": "cuvs", "liger": "liger_kernel", "four_bit": "bitsandbytes", "rating": "vllm"}
    package = needed.get(part)
    if package is not None and find_spec(package) is None:
        return f"{package} is not installed"
    return None


def measured(part: str, *, toy: bool, folder: Path, until: float) -> Figures:
    """The part's figures, or `skipped` or `failed` with the reason."""
    reason = why_not(part, toy=toy)
    if reason is not None:
        return {"skipped": reason}
    left = until - time.monotonic()
    if left <= 0:
        return {"failed": f"no time was left of {LIMIT // 60} minutes"}
    command = [sys.executable, __file__, "--part", part, "--folder", str(folder), *(["--toy"] if toy else [])]
    began = time.monotonic()
    try:
        child = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=left, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": f"not done when {LIMIT // 60} minutes were over, after {left:.0f} s"}
    if child.returncode:
        return {"failed": f"exit code {child.returncode}; its error is above"}
    figures: Figures = json.loads(child.stdout.splitlines()[-1])
    return figures | {"whole part, seconds": round(time.monotonic() - began, 1)}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--toy", action="store_true", help="each part at toy size, on a CPU too")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these parts alone")
    parser.add_argument("--out", type=Path, help="folder of the two files")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    size = SMALL if options.toy else FULL
    if options.part:
        print(json.dumps(PARTS[options.part](size, options.folder)))
        return 0
    out = options.out or (ROOT / "build" / "gpu-toy" if options.toy else Path(__file__).parent / "results")
    until, results, setting = time.monotonic() + LIMIT, {}, machine()
    with tempfile.TemporaryDirectory(prefix="ds2-gpu-") as folder:
        for part in options.only:
            print(f"{part} ...", file=sys.stderr, flush=True)
            results[part] = measured(part, toy=options.toy, folder=Path(folder), until=until)
            print(f"{part}: {json.dumps(results[part])}", flush=True)
            write(out, setting, results, toy=options.toy)
    failed = any("failed" in figures for figures in results.values())
    return 1 if failed or all("skipped" in figures for figures in results.values()) else 0


if __name__ == "__main__":  # vLLM starts processes that import this file again
    sys.exit(main())
