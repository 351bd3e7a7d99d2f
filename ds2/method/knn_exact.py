"""Nearest rows by comparing every pair on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from ds2.base.threads import one_blas_thread

_BLOCK = 4096
"""Queries that one thread searches at a time: bounds memory, and is what progress is counted in."""


def search_exact(
    queries: NDArray[np.float32], base: NDArray[np.float32], k: int, progress: bool = False
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The k rows of `base` nearest to each query (itself among them where it is a row of base), by FAISS's
    flat search.
    """
    import faiss

    index = faiss.IndexFlatIP(base.shape[1])
    index.add(base)
    near = np.empty((len(queries), k), dtype=np.int32)
    dist = np.empty((len(queries), k), dtype=np.float32)

    def search(start: int) -> None:
        faiss.omp_set_num_threads(1)  # of the worker that asks, not of the process
        rows = slice(start, start + _BLOCK)
        similarity, near[rows] = index.search(queries[rows], k)
        np.maximum(1.0 - similarity, 0.0, out=dist[rows])

    side_by_side(search, range(0, len(queries), _BLOCK), "neighbours among all" if progress else None)
    return near, dist


def side_by_side(work: Callable[[int], None], parts: Sequence[int], doing: str | None) -> None:
    """work(part) for all parts on as many threads as FAISS may use, with a bar where `doing` names the work.

    Each part is for one thread alone: threads inside a product would round it as they divide it, and of
    neighbours equally far within rounding the nearer would depend on their number.
    """
    import faiss

    with one_blas_thread(), ThreadPoolExecutor(faiss.omp_get_max_threads()) as workers:
        done = workers.map(work, parts)
        if doing is not None:
            from ds2.base.progress import Bar

            done = iter(Bar(done, total=len(parts), desc=doing, unit="block"))
        for _ in done:
            pass
