"""Measured speed of the fine-tune: the recipe, and the same with each step's samples in random order, as
peft and Trainer alone have them.

    python benchmarks/finetune.py                         the tiny model, on whatever device there is
    python benchmarks/finetune.py --shape llama_3_1_8b    a Llama-3.1-8B of random weights: one GPU of 80 GB

Each loop runs in a process of its own. Reported: tokens a second (padding not counted), the share of a batch
that is padding, peak memory, and on a GPU whose peak is known the model FLOP utilisation. A LoRA step needs 4
FLOPs per frozen weight and token (forward 2; backward 2, for activations only), and 12 L h s for attention:
that is what is counted, not the 6 per weight of full training, and not what is recomputed. Samples are real
ones where DS2_DATA (by default ../shared beside the repository) has the pool, one token a byte. Writes
benchmarks/results/finetune-SHAPE.json and .md.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from random_llama import LLAMA_3_1_8B, random_llama

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from ds2.config import FinetuneConfig, FinetuneRuntime  # noqa: E402
from ds2.models import flops  # noqa: E402
from ds2.models.tiny import build  # noqa: E402
from finetune.spec import FinetuneSpec, read_spec, write_spec  # noqa: E402

DATA = Path(os.environ.get("DS2_DATA", ROOT.parent / "shared"))
RESULTS = Path(__file__).parent / "results"
WARM_UP = 2
"""Steps left out of the figures."""
SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {
        "max_tokens": 512, "total_batch": 64, "device_batch": 8, "steps": 10, "rank": 8, "dtype": "float32",
    },
    "llama_3_1_8b": {
        "max_tokens": 2048, "total_batch": 128, "device_batch": 8, "steps": 6, "rank": 64,
        "dtype": "bfloat16",
    },
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="tiny")
    parser.add_argument("--device-batch", type=int, help="samples per device and forward pass")
    parser.add_argument(
        "--checkpointing", action="store_true", help="recompute activations in the backward pass"
    )
    parser.add_argument("--loop", choices=["ours", "plain"], help=argparse.SUPPRESS)
    parser.add_argument("--spec", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.loop:
        print(json.dumps(run_ours(options.spec) if options.loop == "ours" else run_plain(options.spec)))
        return
    with tempfile.TemporaryDirectory(prefix="ds2-benchmark-") as folder:
        spec = prepare(options, Path(folder))
        write_spec(spec, Path(folder) / "spec.json")
        table = {loop: child(loop, Path(folder) / "spec.json") for loop in ("plain", "ours")}
    report(options.shape, spec, table)


def prepare(options: argparse.Namespace, folder: Path) -> FinetuneSpec:
    """Base model, samples and settings on disk."""
    shape = SHAPES[options.shape]
    if options.shape == "tiny":
        build(folder / "base", seed=0)
    else:
        random_llama(folder / "base", LLAMA_3_1_8B)
    rows = folder / "rows.jsonl"
    wanted = shape["steps"] * shape["total_batch"]
    pool = DATA / "pools" / "ds2_67k.jsonl.gz"
    if pool.is_file():
        with gzip.open(pool, "rt", encoding="utf-8") as lines:
            rows.write_text("".join(islice(lines, wanted)), encoding="utf-8")
    else:
        print(f"no {pool}: lengths are drawn instead", file=sys.stderr)
        rows.write_text("".join(json.dumps(row) + "\n" for row in drawn_rows(wanted)), encoding="utf-8")
    runtime = FinetuneRuntime(
        device_batch=options.device_batch or shape["device_batch"],
        activation_checkpointing=options.checkpointing,
        save_every_epoch=False,
    )
    config = FinetuneConfig(
        name=options.shape,
        rank=shape["rank"],
        max_steps=shape["steps"],
        total_batch=shape["total_batch"],
        max_tokens=shape["max_tokens"],
        dtype=shape["dtype"],
        runtime=runtime,
    )
    return FinetuneSpec(str(folder / "base"), None, str(rows), str(folder / "out"), 0, config, progress=False)


def drawn_rows(count: int) -> list[dict[str, Any]]:
    lengths = np.random.default_rng(0).lognormal(5.8, 0.8, count).astype(int)
    return [
        {
            "id": str(i),
            "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "x" * int(n)}],
        }
        for i, n in enumerate(lengths)
    ]


def child(loop: str, spec: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--loop", loop, "--spec", str(spec)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures: dict[str, Any] = json.loads(output.splitlines()[-1])
    return figures


def run_ours(path: str) -> dict[str, Any]:
    return timed_training(read_spec(path), plain=False)


def run_plain(path: str) -> dict[str, Any]:
    return timed_training(read_spec(path), plain=True)


def timed_training(spec: FinetuneSpec, *, plain: bool) -> dict[str, Any]:
    """Train as the recipe does, or with the order within a step left to chance; time the steps after the
    warm-up.
    """
    import torch
    from transformers import Trainer, TrainerCallback

    import finetune.train as recipe

    marks: list[float] = []
    shapes: list[tuple[int, int, int]] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            marks.append(time.perf_counter())

    def note(collate: Any) -> Any:
        def collate_and_note(batch: Any) -> dict[str, Any]:
            made: dict[str, Any] = collate(batch)
            rows, width = made["input_ids"].shape
            shapes.append((rows, width, int(made["attention_mask"].sum())))
            return made

        return collate_and_note

    original_init, original_order = Trainer.__init__, recipe.sample_order

    def init(self: Trainer, *arguments: Any, **options: Any) -> None:
        options["data_collator"] = note(options["data_collator"])
        original_init(self, *arguments, **options)
        self.add_callback(Clock)

    def chance(lengths: Any, **settings: Any) -> Any:
        """The same samples in each step, no longer by length."""
        return np.random.default_rng(0).permuted(original_order(lengths, **settings), axis=1)

    Trainer.__init__ = init
    recipe.sample_order = chance if plain else original_order
    metrics = recipe.train(spec)
    per_step = len(shapes) // metrics["steps"]
    kept = shapes[WARM_UP * per_step :]
    seconds = marks[-1] - marks[WARM_UP - 1]
    tokens, slots = sum(real for _, _, real in kept), sum(rows * width for rows, width, _ in kept)
    figures = {
        "tokens_per_second": tokens / seconds,
        "padding": 1 - tokens / slots,
        "seconds_per_step": seconds / (metrics["steps"] - WARM_UP),
        "peak_memory_gib": metrics["peak_memory_bytes"] / 2**30,
    }
    return figures | utilisation(spec, kept, seconds)


def utilisation(spec: FinetuneSpec, batches: list[tuple[int, int, int]], seconds: float) -> dict[str, float]:
    """Model FLOP utilisation, on a GPU whose peak is known."""
    from transformers import AutoConfig

    peak = flops.peak_of_device()
    if peak is None:
        return {}
    shape = AutoConfig.from_pretrained(spec.base_model)
    width = shape.hidden_size
    kv = width * shape.num_key_value_heads // shape.num_attention_heads
    layer = 2 * width * width + 2 * width * kv + 3 * width * shape.intermediate_size
    weights = shape.num_hidden_layers * layer + shape.vocab_size * width
    done = 0.0
    for rows, _, real in batches:
        attention = 12 * shape.num_hidden_layers * width * (real / rows) / 2  # causal: half of the square
        done += real * (4 * weights + attention)
    return {"mfu": done / seconds / peak}


def report(shape: str, spec: FinetuneSpec, table: dict[str, dict[str, Any]]) -> None:
    import torch

    device = (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else f"CPU, {torch.get_num_threads()} threads"
    )
    packages = ("torch", "transformers", "peft", "accelerate")
    setting = {
        "date": datetime.date.today().isoformat(),
        "device": device,
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan"),
        "python": platform.python_version(),
        "versions": {package: importlib.metadata.version(package) for package in packages},
        "total_batch": spec.config.total_batch,
        "device_batch": spec.config.runtime.device_batch,
        "max_tokens": spec.config.max_tokens,
        "dtype": spec.config.dtype,
        "activation_checkpointing": spec.config.runtime.activation_checkpointing,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"finetune-{shape}.json").write_text(
        json.dumps({"setting": setting, "results": table}, indent=2)
    )
    keys = list(table["ours"])
    lines = [
        f"# Fine-tuning speed, {shape}",
        "",
        f"`python benchmarks/finetune.py --shape {shape}`, {setting['date']}, {device}, device batch"
        f" {setting['device_batch']}, at most {setting['max_tokens']} tokens, {setting['dtype']}. Load of "
        "the machine just"
        f" after: {setting['load_average']:.1f} (one busy process is 1): on shared cores read the ratio, not "
        "the values.",
        "",
        "| loop | " + " | ".join(key.replace("_", " ") for key in keys) + " |",
        "|---" * (len(keys) + 1) + "|",
        *(
            f"| {loop} | " + " | ".join(f"{row[key]:.4g}" for key in keys) + " |"
            for loop, row in table.items()
        ),
    ]
    (RESULTS / f"finetune-{shape}.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
