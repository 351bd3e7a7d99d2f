"""Independent pieces of work side by side, each on one thread of its own: the same numbers however many
threads there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")


def side_by_side(work: Callable[[Item], Value], items: Iterable[Item]) -> list[Value]:
    """work(item) for each, in the order of items; as many at a time as OpenMP may use threads."""
    import faiss

    listed = list(items)
    threads = min(faiss.omp_get_max_threads(), len(listed))
    if threads <= 1:
        return [work(item) for item in listed]
    with ThreadPoolExecutor(threads) as workers:
        return list(workers.map(work, listed))
