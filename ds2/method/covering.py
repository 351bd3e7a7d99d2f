"""Which samples a subset stands for, and the best subset that stands for enough of them.

    covered(S)  S, and every sample that has one of S among its k nearest neighbours
    cover(S)    |covered(S)| / N

Walking an order from its best, a leader is a sample that no leader before it covers: the best of its
neighbourhood. All leaders together cover everything. The subset that puts the first m leaders before the
rest of the order is the order's own head at m = 0 and covers more with m; the least m that covers enough
gives up the least of the order's best.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
NEAR = 10
"""k: neighbours that can stand for a sample."""


def cover(neighbors: NDArray[np.int32], rows: Rows) -> float:
    """cover(S) of the samples `rows`; neighbors (N, k)."""
    chosen = np.zeros(len(neighbors), dtype=bool)
    chosen[rows] = True
    return float((chosen | chosen[neighbors[:, :NEAR]].any(axis=1)).mean())


def leaders(neighbors: NDArray[np.int32], order: Rows) -> Rows:
    """The leaders of an order of some or all samples, best first."""
    near = neighbors[:, :NEAR]
    leads = np.zeros(len(near), dtype=bool)
    for n in order.tolist():
        leads[n] = not leads[near[n]].any()
    return np.asarray(order[leads[order]])


def led(order: Rows, first: Rows) -> Rows:
    """The order with some of its samples, in their order, put before the rest."""
    put = np.zeros(int(order.max()) + 1, dtype=bool)
    put[first] = True
    return np.concatenate([first, order[~put[order]]])


def least_leaders(
    neighbors: NDArray[np.int32], order: Rows, first: Rows, share: float, take: Callable[[Rows], Rows]
) -> tuple[Rows, float]:
    """The subset with the fewest leaders put first that covers `share`, and its cover; less than `share`
    where no number of leaders reaches it.

    first: the order's leaders. take: the subset that the head of an order makes.
    """
    low, high = 0, min(len(first), len(take(order)))
    rows = take(led(order, first[:high]))
    reached = cover(neighbors, rows)
    if reached < share:
        return rows, reached
    while low < high:
        middle = (low + high) // 2
        tried = take(led(order, first[:middle]))
        found = cover(neighbors, tried)
        if found >= share:
            high, rows, reached = middle, tried, found
        else:
            low = middle + 1
    return rows, reached
