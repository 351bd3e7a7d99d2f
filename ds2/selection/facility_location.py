"""The subset that represents the pool best: facility location over the graph.

    f(S) = sum over samples n of max over m in S of w(n, m)
    w(n, n) = 1,  w(n, m) = 1 - D(n, m) for m among the k nearest neighbours of n, else 0

f is monotone and submodular, so taking the sample of largest gain again and again reaches at least 1 - 1/e of the best
possible f (Nemhauser, Wolsey and Fisher 1978). Gains only fall, so a stale gain is an upper bound and most need no second look
(lazy greedy, Minoux 1978). Similarities are counted in whole millionths: sums are exact and the subset is the same on every
machine. Ties by row.
"""

from __future__ import annotations

import heapq
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ds2.config import SelectionConfig
from ds2.errors import UserError
from ds2.knn import KnnGraph
from ds2.selection.config import FacilityLocationSelectionConfig
from ds2.selection.filters import NEXT, Eligible
from ds2.selection.request import Choice, Request

CONFIG = FacilityLocationSelectionConfig
NEEDS: frozenset[str] = frozenset({"knn"})
_UNIT = 1_000_000


def budgeted(config: SelectionConfig) -> bool:
    """Always."""
    return True


def seeded(config: SelectionConfig) -> bool:
    """Never."""
    return False


def choose(request: Request) -> Choice:
    """The `budget` samples of largest gain, in the order taken; a smaller budget is a prefix of a larger one."""
    k, graph = cast(FacilityLocationSelectionConfig, request.config).k, request.graph
    if not 1 <= k <= graph.k:
        raise UserError(f"selection.k={k}: the graph stores {graph.k} neighbours; lower it, or raise knn.k")
    eligible = Eligible(request)
    start, members, weights = represented(graph, k)
    best = np.zeros(graph.num_samples, dtype=np.int64)
    gains = np.add.reduceat(weights, start[:-1])
    heap = [(-int(gains[n]), n) for n in np.flatnonzero(eligible.mask).tolist()]
    heapq.heapify(heap)
    positions: list[int] = []
    values: list[float] = []
    while heap and len(positions) < eligible.count:
        stale, n = heapq.heappop(heap)
        own, offered = members[start[n] : start[n + 1]], weights[start[n] : start[n + 1]]
        gain = int(np.maximum(offered - best[own], 0).sum())
        if gain < -stale and heap and (-gain, n) > heap[0]:
            heapq.heappush(heap, (-gain, n))
            continue
        if eligible.limits and not eligible.limits.admit(n):
            continue
        best[own] = np.maximum(best[own], offered)
        positions.append(n)
        values.append(gain / _UNIT)
    eligible.check_full(len(positions))
    following = [n for _, n in heapq.nsmallest(NEXT, heap)]
    reasons = [f"stands for {value:.2f} samples not covered before" for value in values]
    return Choice(
        np.array(positions, dtype=np.int64), reasons, np.array(values), np.array(following, dtype=np.int64)
    )


def represented(graph: KnnGraph, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """For each sample m, the samples n that it can stand for and w(n, m) in millionths.

    Returns:
        start (N + 1,), members (E,), weights (E,): those of m are the entries start[m] to start[m + 1].
    """
    count = graph.num_samples
    own = np.arange(count)
    near = np.asarray(graph.neighbors[:, :k], dtype=np.int64)
    weight = np.rint((1.0 - np.asarray(graph.distances[:, :k], dtype=np.float64)) * _UNIT).astype(np.int64)
    targets = np.concatenate([own, near.ravel()])
    members = np.concatenate([own, np.repeat(own, near.shape[1])])
    weights = np.concatenate([np.full(count, _UNIT), weight.clip(min=0).ravel()])
    order = np.argsort(targets, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(targets, minlength=count))])
    return start, members[order], weights[order]
