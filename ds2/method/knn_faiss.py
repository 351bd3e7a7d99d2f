"""Nearest neighbours by FAISS on the CPU: every pair, or the rows of an inverted file's nearest cells."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.base.threads import one_blas_thread
from ds2.method.knn_blocks import Blocks, KeptBlocks

EVERY_PAIR = "every pair"
"""How neighbours were found, where all were compared."""
_BLOCK = 4096
"""Queries that one thread searches at a time: bounds memory, and is what progress is counted in."""
_KEPT_FROM = 16
"""Blocks from which finished ones are kept: fewer are found again in seconds."""
_RECALL = 0.96
"""Share of a sample's 10 nearest that the approximate search must find: .95 with a margin for the sample's
error.
"""
_WORTH = 0.15
"""Share of the cells up to which reading them costs less than comparing every pair, which is one product of
matrices (docs/reliability.md has the times).
"""
_FEWEST = 8
"""Cells a query reads at the least."""
_AGAIN = 100
"""Rows a query is compared with again at the least."""
_SAMPLE = 1000
"""Queries that share is measured on."""


def search_exact(
    queries: NDArray[np.float32],
    base: NDArray[np.float32],
    k: int,
    progress: bool = False,
    keep: Blocks | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The k rows of `base` nearest to each query (itself among them where it is a row of base), by FAISS's
    flat search. keep: where finished blocks are kept, and looked for.
    """
    import faiss

    index = faiss.IndexFlatIP(base.shape[1])
    index.add(base)
    arrays = (base,) if queries is base else (queries, base)
    kept = _kept(keep, queries, EVERY_PAIR, k, *arrays)
    return in_blocks(index, queries, k, progress, kept=kept)


def search_cells(
    x: NDArray[np.float32], k: int, progress: bool, keep: Blocks | None = None
) -> tuple[NDArray[np.int32], NDArray[np.float32], str, float]:
    """The k rows nearest to each row, among those in the cells nearest to it: k-means makes about 4 sqrt(N)
    cells. A row is read as 4 bits a number, an eighth of its bytes; the 2 k nearest by these, at least 100,
    are compared again as they are. Every pair is compared where that costs less. And which of the two was
    done, with its share. keep: where finished blocks are kept, and looked for.
    """
    n = len(x)
    cells = max(1, min(round(4 * n**0.5), n // 40))
    if cells * _WORTH < _FEWEST:
        return *search_exact(x, x, k, progress, keep), EVERY_PAIR, 1.0
    index, rough = inverted_file(x, cells)
    again = max(2 * k, _AGAIN)
    recall = _choose_probes(index, rough, x, again)
    if recall is None:
        search = f"{EVERY_PAIR}: nearness needs over {_WORTH:.0%} of the cells"
        return *search_exact(x, x, k, progress, keep), search, 1.0
    index.k_factor = again / k
    read = f"{rough.nprobe} of {cells} cells"
    search = f"{read}: {recall:.1%} of the nearest 10 of {min(_SAMPLE, n):,} rows found"
    centres = rough.quantizer.reconstruct_n(0, cells)  # the same again where all went the same way
    kept = _kept(keep, x, read, again, k, centres, x)
    near, dist = in_blocks(index, x, k, progress, f"neighbours in {read}", kept)
    short = np.flatnonzero((near < 0).any(axis=1))
    if short.size:  # the cells that were read hold fewer than k rows
        near[short], dist[short] = search_exact(x[short], x, k)
    return near, dist, search, rough.nprobe / cells


def inverted_file(x: NDArray[np.float32], cells: int) -> tuple[Any, Any]:
    """An index of the rows in full, and within it that of their 4 bits a number, whose `nprobe` says how many
    cells a query reads.
    """
    import faiss

    d = x.shape[1]
    rough = faiss.IndexIVFPQFastScan(faiss.IndexFlatIP(d), d, cells, d, 4, faiss.METRIC_INNER_PRODUCT)
    rough.by_residual = True  # the bits are spent on what tells a row from its cell's centre
    rough.cp.niter, rough.cp.max_points_per_centroid, rough.cp.min_points_per_centroid = 6, 64, 1
    with one_blas_thread():
        rough.train(x)
        rough.add(x)
    return faiss.IndexRefineFlat(rough, faiss.swig_ptr(x)), rough


def _choose_probes(index: Any, rough: Any, x: NDArray[np.float32], again: int) -> float | None:
    """Read _FEWEST cells a query, half as many again until a sample's nearest 10 are found as _RECALL asks;
    the share found. None where that is not so with at most _WORTH of the cells.
    """
    rows = np.random.default_rng(0).choice(len(x), min(_SAMPLE, len(x)), replace=False)
    width = min(11, len(x))  # a row finds itself too
    truth, _ = search_exact(x[rows], x, width)
    itself = rows[:, None]
    index.k_factor = again / width
    probes = _FEWEST
    while probes <= _WORTH * rough.nlist:
        rough.nprobe = probes
        near, _ = in_blocks(index, x[rows], width, progress=False)
        hit = (near[:, :, None] == truth[:, None, :]).any(axis=1) & (truth != itself)
        found = float(hit.sum() / (truth != itself).sum())
        if found >= _RECALL:
            return found
        probes += (probes + 1) // 2
    return None


def in_blocks(
    index: Any,
    queries: NDArray[np.float32],
    k: int,
    progress: bool,
    doing: str = "neighbours among all",
    kept: KeptBlocks | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Blocks are searched side by side, each on one thread: threads inside a product would round it as they
    divide it, and of neighbours equally far within rounding the nearer would depend on their number.

    kept: blocks that are there are not searched, and others are kept when they are.
    """
    import faiss

    near = np.empty((len(queries), k), dtype=np.int32)
    dist = np.empty((len(queries), k), dtype=np.float32)

    def search(start: int) -> None:
        faiss.omp_set_num_threads(1)  # of the worker that asks, not of the process
        rows = slice(start, start + _BLOCK)
        similarity, ids = index.search(queries[rows], k)
        near[rows] = ids
        np.maximum(1.0 - similarity, 0.0, out=dist[rows])
        if kept is not None:
            kept.write(start, (near[rows], dist[rows]))

    def take(start: int) -> bool:
        found = None if kept is None else kept.read(start)
        if found is not None:
            near[start : start + _BLOCK], dist[start : start + _BLOCK] = found
        return found is not None

    blocks = range(0, len(queries), _BLOCK)
    starts = [start for start in blocks if not take(start)]
    threads = faiss.omp_get_max_threads()
    with one_blas_thread(), ThreadPoolExecutor(threads) as workers:
        done: Iterable[None] = workers.map(search, starts)
        if progress:
            from ds2.base.progress import Bar

            done = Bar(done, total=len(blocks), initial=len(blocks) - len(starts), desc=doing, unit="block")
        for _ in done:
            pass
    return near, dist


def _kept(keep: Blocks | None, queries: NDArray[np.float32], *decides: Any) -> KeptBlocks | None:
    """None without a place, and for a search of seconds."""
    if keep is None or len(queries) < _KEPT_FROM * _BLOCK:
        return None
    return KeptBlocks(keep, version("faiss-cpu"), _BLOCK, *decides)
