"""Parts of `benchmarks/curation.py`: the approximate graph beside the exact one."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from curation_pools import (  # noqa: E402
    DATA,
    alpaca,
    embed,
    peak_gib,
    timed,
    warm_up,
)

import ds2  # noqa: E402
from ds2.method.curation.planted import PlantedPool, ordinal_transition, plant_pool  # noqa: E402


def uneven_pool(n: int, d: int = 64, shrink: float = 0.3) -> PlantedPool:
    """Planted pools from small tight clusters to large wide ones in one, on axes that shrink as those of text
    do: the i-th by i ** -shrink.

    Distances then grow smoothly, as in real pools: the 10th neighbour is 1.8 times as far as the first and
    the 96th 3.4 times (Alpaca, d = 64: 1.5 and 2.3). In clusters of one size with equal noise all samples
    beyond a cluster are equally far, which no index can order and no method needs.
    """
    T = ordinal_transition(6)
    parts = [
        plant_pool(
            n // 4, transitions=T, dimensions=d, cluster_size=size, purity=0.95, spread=spread, seed=size
        )
        for size, spread in ((5, 0.3), (20, 0.5), (80, 0.7), (320, 0.9))
    ]
    order = np.random.default_rng(0).permutation(n)
    x, true, scores = (
        np.concatenate([getattr(part, name) for part in parts])[order]
        for name in ("embeddings", "true_scores", "scores")
    )
    x *= np.arange(1, d + 1, dtype=np.float32) ** -shrink
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return PlantedPool(x, true, scores, parts[0].transitions, parts[0].prior)


def approximate() -> Iterator[dict[str, Any]]:
    """The approximate graph (k = 96) beside the exact one, where that is affordable: real text and 100,000
    planted rows.
    """
    warm_up()
    if (DATA / "pools").exists():
        texts, scores = alpaca()
        yield from graphs_compared("Alpaca", embed(texts), scores[:, 0], None)
    else:
        print("approximate: the Alpaca rows are skipped, they need", DATA / "pools")
    pool = uneven_pool(100_000)
    yield from graphs_compared("planted", pool.embeddings, pool.scores, pool.true_scores)


def million() -> Iterator[dict[str, Any]]:
    """The approximate graph (k = 96) alone at N = 1,000,000; recall against an exact search of 2,000 rows.
    `rank` draws 1 row in 20 there, so that the stored neighbours run short and nearly every row is searched
    again.
    """
    warm_up()
    pool = uneven_pool(1_000_000)
    yield from graphs_compared("planted", pool.embeddings, pool.scores, pool.true_scores, exact=False)


def wide() -> Iterator[dict[str, Any]]:
    """The approximate graph (k = 96) of 1,000,000 rows of 384 numbers that lie on disk, in a process of its
    own; recall against an exact search of 2,000 rows.
    """
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "rows.npy"
        np.save(file, uneven_pool(1_000_000, 384).embeddings.astype(np.float32, copy=False))
        code = (
            "import sys, time, resource, numpy as np, ds2; x = np.load(sys.argv[1], mmap_mode='r');"
            "began = time.perf_counter(); graph = ds2.knn_graph(x, 96, method='approximate', progress=True);"
            "print(time.perf_counter() - began, time.process_time(),"
            " resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, graph.search, sep='|');"
            "np.save(sys.argv[1] + '.near.npy', graph.neighbors)"
        )
        ran = subprocess.run(
            [sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, text=True, check=True
        )
        seconds, used, peak, search = ran.stdout.strip().split("|")
        x, near = np.load(file), np.load(f"{file}.near.npy", mmap_mode="r")
        rows = np.sort(np.random.default_rng(1).choice(len(x), 2000, replace=False))
        truth = nearest_others(x, rows, 96)
    row = {
        "N": len(x),
        "d": x.shape[1],
        "graph s": float(seconds),
        "CPU s": float(used),
        "peak GiB": float(peak),
    }
    for k in (10, 96):
        pairs = zip(near[rows, :k].tolist(), truth[:, :k].tolist(), strict=True)
        row[f"recall@{k}"] = float(np.mean([len(set(a) & set(b)) / k for a, b in pairs]))
    yield row | {"search": search}


def cells() -> Iterator[dict[str, Any]]:
    """Seconds of CPU of comparing every pair (k = 96), and of reading a share of the cells."""
    from ds2.method.knn_faiss import in_blocks, inverted_file, search_exact

    for n, d in ((40_000, 64), (40_000, 128), (100_000, 128)):
        x = np.random.default_rng(0).standard_normal((n, d), dtype=np.float32)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        row: dict[str, Any] = {"N": n, "d": d, "every pair, CPU s": cpu(lambda x=x: search_exact(x, x, 97))}
        began = time.process_time()
        index, rough = inverted_file(x, min(round(4 * n**0.5), n // 40))
        built, index.k_factor = time.process_time() - began, 2
        for share in (0.05, 0.1, 0.15, 0.25):
            rough.nprobe = round(share * rough.nlist)
            row[f"{share:.0%} of the cells"] = built + cpu(lambda i=index, x=x: in_blocks(i, x, 97, False))
        yield row


def cpu(call: Callable[[], Any]) -> float:
    """Seconds of CPU of all threads."""
    began = time.process_time()
    call()
    return time.process_time() - began


def graphs_compared(
    name: str, x: np.ndarray, scores: np.ndarray, true: np.ndarray | None, exact: bool = True
) -> Iterator[dict[str, Any]]:
    rows = np.sort(np.random.default_rng(1).choice(len(x), 2000, replace=False))
    truth, full = None if exact else nearest_others(x, rows, 96), {}
    for kind in ("exact", "approximate") if exact else ("approximate",):
        graph, seconds = timed(lambda kind=kind: ds2.knn_graph(x, 96, method=kind))
        truth = graph.neighbors[rows] if kind == "exact" else truth
        row = {"pool": f"{name}, d = {x.shape[1]}", "N": len(x), "graph": kind, "graph s": seconds}
        for k in (10, 96):
            pairs = zip(graph.neighbors[rows, :k].tolist(), truth[:, :k].tolist(), strict=True)
            row[f"recall@{k}"] = float(np.mean([len(set(a) & set(b)) / k for a, b in pairs]))
        for method in ("rank", "posterior"):
            result, after = timed(lambda g=graph, m=method: ds2.curate(x, scores, graph=g, method=m))
            row[f"{method} s"] = after
            row[f"{method}: right"] = "" if true is None else float((result.curated == true).mean())
            row |= {f"{method}: T differs, max (mean)": "", f"{method}: same scores": ""}
            if kind == "exact":
                full[method] = result
            elif method in full:
                gap = np.abs(result.transition - full[method].transition)
                row[f"{method}: T differs, max (mean)"] = f"{gap.max():.4f} ({gap.mean():.4f})"
                row[f"{method}: same scores"] = float((result.curated == full[method].curated).mean())
        yield row | {"peak GiB": peak_gib()}


def nearest_others(x: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """The k nearest others of some rows by exact search, in a pool without equal rows."""
    from ds2.method.knn import unit_rows
    from ds2.method.knn_faiss import search_exact

    x = unit_rows(x)
    near, _ = search_exact(x[rows], x, k + 1)
    return near[near != rows[:, None]].reshape(len(rows), k)
