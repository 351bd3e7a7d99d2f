"""Pools, raters and measures that the benchmarks of curation share."""

from __future__ import annotations

import gzip
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import ds2  # noqa: E402
from ds2.method.curation.planted import ordinal_transition, plant_pool  # noqa: E402

DATA = Path(os.environ.get("DS2_DATA", ROOT.parent / "shared"))
RATERS = ("gpt_4o_mini", "llama_3_1_8b", "mistral_7b")

# Rows of Figure 3 of the DS2 paper (arXiv 2410.10877), true score by rated score.
PUBLISHED = {
    "GPT-4o-mini": [[61, 29, 9, 1, 0, 0], [10, 55, 27, 7, 1, 0], [4, 15, 57, 21, 2, 0],
                    [1, 5, 22, 55, 16, 0], [0, 2, 2, 24, 66, 6], [0, 5, 41, 0, 52, 2]],
    "LLaMA-3.1-8B": [[47, 5, 7, 34, 7, 1], [8, 14, 48, 23, 7, 0], [9, 48, 16, 23, 4, 0],
                     [5, 15, 15, 53, 11, 1], [7, 1, 5, 41, 43, 3], [16, 15, 16, 0, 50, 3]],
    "Mistral-7B": [[7, 63, 0, 20, 9, 0], [2, 1, 43, 48, 6, 0], [1, 30, 48, 18, 3, 0],
                   [0, 19, 15, 55, 10, 0], [0, 9, 4, 37, 50, 1], [1, 25, 10, 0, 63, 1]],
}  # fmt: skip
PRIOR = [0.12, 0.16, 0.26, 0.22, 0.16, 0.08]

# name, transition, settings of plant_pool
CASES: list[tuple[str, Any, dict[str, Any]]] = [
    ("accuracy .6, pure", ordinal_transition(6, accuracy=0.6), {"purity": 1.0, "cluster_size": 12}),
    ("accuracy .6", ordinal_transition(6, accuracy=0.6), {"purity": 0.92, "cluster_size": 12}),
    ("accuracy .45", ordinal_transition(6, accuracy=0.45, decay=0.8), {"purity": 0.92, "cluster_size": 25}),
    ("accuracy .6, clusters of 6", ordinal_transition(6, accuracy=0.6), {"purity": 0.92, "cluster_size": 6}),
    ("accuracy .6, blurred", ordinal_transition(6, accuracy=0.6), {"purity": 0.95, "spread": 1.2}),
    ("accuracy .6, purity .6", ordinal_transition(6, accuracy=0.6), {"purity": 0.6, "cluster_size": 15}),
    ("accuracy .6, purity .3", ordinal_transition(6, accuracy=0.6), {"purity": 0.3, "cluster_size": 15}),
    ("lenient rater", ordinal_transition(6, accuracy=0.5, bias=0.8), {"purity": 0.92, "cluster_size": 12}),
    ("K = 3", ordinal_transition(3, accuracy=0.6), {"purity": 0.92, "cluster_size": 12}),
    ("K = 10", ordinal_transition(10, accuracy=0.5, decay=0.8), {"purity": 0.92, "cluster_size": 20}),
    ("GPT-4o-mini's T", PUBLISHED["GPT-4o-mini"], {"purity": 0.92, "cluster_size": 12}),
    ("LLaMA-3.1-8B's T", PUBLISHED["LLaMA-3.1-8B"], {"purity": 0.92, "cluster_size": 12}),
    ("Mistral-7B's T", PUBLISHED["Mistral-7B"], {"purity": 0.92, "cluster_size": 12}),
]  # fmt: skip


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )


def markdown(rows: list[dict[str, Any]]) -> str:
    names = list(rows[0])
    shown = [
        [f"{v:.3f}" if isinstance(v, float) else str(v) for v in (r.get(n, "") for n in names)] for r in rows
    ]
    return "\n".join(["| " + " | ".join(c) + " |" for c in [names, ["---"] * len(names), *shown]]) + "\n"


def alpaca() -> tuple[list[str], np.ndarray]:
    texts, scores = [], []
    with gzip.open(DATA / "pools" / "ds2_67k.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["source"] == "stanford_alpaca":
                texts.append("\n".join(m["content"] for m in row["messages"]))
                scores.append([row["scores"][r] for r in RATERS])
    return texts, np.array(scores)


def embed(texts: list[str]) -> np.ndarray:
    from ds2.method.embedding import tfidf_svd

    x = tfidf_svd(texts, dimensions=128)
    x[np.linalg.norm(x, axis=1) < 1e-9] = 1.0
    return x


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    value = call()
    return value, time.perf_counter() - start


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def warm_up() -> None:
    pool = plant_pool(300, transitions=ordinal_transition(6), seed=0)
    for method in ("rank", "posterior"):
        ds2.curate(pool.embeddings, pool.scores, method=method)
