"""Parts of `benchmarks/curation.py`: what curation takes, in seconds and memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from curation_pools import (  # noqa: E402
    alpaca,
    embed,
    peak_gib,
    timed,
    warm_up,
)

import ds2  # noqa: E402
from ds2.method.curation.planted import ordinal_transition, plant_pool  # noqa: E402


def speed() -> Iterator[dict[str, Any]]:
    """N = 3,000, d = 48: the whole stage from embeddings, best and median of five."""
    warm_up()
    pool = plant_pool(3000, transitions=ordinal_transition(6), dimensions=48, cluster_size=12, seed=0)
    for method, extra in (("rank", {}), ("rank", {"hoc_solver": "multistart"}), ("posterior", {}),
                          ("posterior", {"bootstrap": 20})):  # fmt: skip
        seconds = [
            timed(lambda m=method, e=extra: ds2.curate(pool.embeddings, pool.scores, method=m, **e))[1]
            for _ in range(5)
        ]
        settings = ", ".join(f"{k}={v}" for k, v in extra.items()) or "default"
        yield {
            "method": method,
            "settings": settings,
            "best s": min(seconds),
            "median s": float(np.median(seconds)),
        }


def stage() -> Iterator[dict[str, Any]]:
    """The 52,002 Alpaca rows: FAISS alone beside our graph, then everything after the graph."""
    import faiss

    texts, scores = alpaca()
    x = embed(texts)
    del texts
    warm_up()
    rows = np.ascontiguousarray(x / np.linalg.norm(x, axis=1, keepdims=True), dtype=np.float32)

    def bare() -> None:
        index = faiss.IndexFlatIP(rows.shape[1])
        index.add(rows)
        index.search(rows, 65)

    times = [(timed(bare)[1], timed(lambda: ds2.knn_graph(x, 64))[1]) for _ in range(3)]
    yield {
        "step": "FAISS flat search, bare (k = 65), best of 3",
        "seconds": min(t[0] for t in times),
        "peak GiB": peak_gib(),
    }
    yield {
        "step": "knn_graph(k = 64), best of 3",
        "seconds": min(t[1] for t in times),
        "peak GiB": peak_gib(),
    }
    ratio = float(np.median([ours / theirs for theirs, ours in times]))
    yield {"step": "ratio, median of 3 pairs", "seconds": ratio, "peak GiB": peak_gib()}
    graph = ds2.knn_graph(x, 64)
    for method in ("rank", "posterior"):
        call = lambda m=method: ds2.curate(x, scores[:, 0], graph=graph, method=m)  # noqa: E731
        yield {
            "step": f"everything after the graph, {method}",
            "seconds": timed(call)[1],
            "peak GiB": peak_gib(),
        }


def curve() -> Iterator[dict[str, Any]]:
    """Time against N at d = 128 (graph once, the rest best of three), with the exponent of a line through the
    logarithms.
    """
    warm_up()
    sizes, times = (10_000, 20_000, 40_000, 80_000), []
    for n in sizes:
        pool = plant_pool(n, transitions=ordinal_transition(6), dimensions=128, cluster_size=20, seed=0)
        graph, seconds = timed(lambda p=pool: ds2.knn_graph(p.embeddings, 64))
        times.append([seconds])
        for m in ("rank", "posterior"):
            call = partial(ds2.curate, pool.embeddings, pool.scores, graph=graph, method=m)
            times[-1].append(min(timed(call)[1] for _ in range(3)))
        names = ("graph s", "after it, rank s", "after it, posterior s")
        yield {"N": n, **dict(zip(names, times[-1], strict=True)), "peak GiB": peak_gib()}
    slope = [float(np.polyfit(np.log(sizes), np.log(y), 1)[0]) for y in np.transpose(times)]
    yield {"N": "exponent", **dict(zip(names, slope, strict=True)), "peak GiB": ""}


def refine() -> Iterator[dict[str, Any]]:
    """Everything of `refine` after the graph, posterior and long tail included: Alpaca with its texts (prompt
    and answer), then against N without texts; the ridge alone; best of some runs.

    The machine may have other work: processor seconds are the steadier figure. The graphs against N are made
    up: what is timed reads neighbours, whatever they are.
    """
    from ds2.method.knn import unit_rows
    from ds2.method.student.columns import make_blocks
    from ds2.method.student.features import count_terms
    from ds2.method.student.ridge import cross_fitted_ridge

    texts, given = alpaca()
    x, own = unit_rows(embed(texts)), given[:, 0]
    for n, runs, most in ((3_000, 5, 3.0), (len(own), 3, 12.0)):
        graph = ds2.knn_graph(x[:n], 64)
        call = partial(ds2.curate, x[:n], own[:n], graph=graph, method="refine", texts=texts[:n])
        yield _row_of_time("with texts, d = 128", n, [_wall_and_cpu(call) for _ in range(runs)], most)
    blocks = make_blocks(x, texts, count_terms(texts), None, lengths=True, seed=0)
    columns = np.concatenate(list(blocks.values()), axis=1)
    fold = np.random.default_rng(0).permutation(len(own)) % 5
    call = partial(cross_fitted_ridge, columns, own.astype(float), fold)
    name = f"of it: the ridge, {columns.shape[1]} columns, 5 folds"
    yield _row_of_time(name, len(own), [_wall_and_cpu(call) for _ in range(3)], 1.0)
    del texts, blocks, columns
    sizes, times = (62_500, 250_000, 1_000_000), []
    for n in sizes:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((n, 64), dtype=np.float32)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        s = np.clip(np.round(2.5 + 8 * x[:, 0] + rng.normal(size=n)), 0, 5).astype(int)
        near = ((np.arange(n)[:, None] + 1 + np.arange(10)) % n).astype(np.int32)
        graph = ds2.KnnGraph(near, np.tile(np.linspace(0.3, 0.6, 10, dtype=np.float32), (n, 1)))
        call = partial(ds2.curate, x, s, graph=graph, method="refine")
        times.append(_wall_and_cpu(call))
        yield _row_of_time("without texts, d = 64", n, times[-1:], 300.0 if n == sizes[-1] else None)
    slope = [float(np.polyfit(np.log(sizes), np.log(t), 1)[0]) for t in np.transpose(times)]
    yield {
        "what": "exponent of N in these", "N": "", "seconds": slope[0], "CPU seconds": slope[1],
        "peak GiB": "", "aim, seconds": "at most 1",
    }  # fmt: skip


def _row_of_time(what: str, n: int, runs: list[tuple[float, float]], most: float | None) -> dict[str, Any]:
    return {
        "what": what, "N": n,
        "seconds": min(wall for wall, _ in runs), "CPU seconds": min(cpu for _, cpu in runs),
        "peak GiB": peak_gib(), "aim, seconds": "" if most is None else f"at most {most:g}",
    }  # fmt: skip


def _wall_and_cpu(call: Callable[[], Any]) -> tuple[float, float]:
    """Wall-clock and processor seconds."""
    start, used = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - start, time.process_time() - used
