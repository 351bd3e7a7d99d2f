"""Samples that keep their distance: walk an order, take each sample that is near to none taken before.

    taken = (),  for n in order:  take n  if  D(n, m) > r for every m in taken,  D = 1 - cosine

It is the diversity step of DEITA (arXiv 2312.15685, section 3.3; there: similarity to the nearest taken
sample below 0.9) and, in row order without a budget, near-duplicate removal. The graph answers nearly every
question: a sample whose k-th neighbour lies beyond r has all nearer than r in its list. A sample in a
denser place is compared with the taken ones themselves, so that the result is the exact one; without
embeddings only its list is looked at.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ds2.method.knn import KnnGraph

_ROUNDING = 1e-6
"""Distances are float32."""


def keep_apart(
    order: NDArray[np.int64],
    graph: KnnGraph,
    radius: float,
    *,
    limit: int | None = None,
    embeddings: NDArray[np.float32] | None = None,
    admits: Callable[[int], bool] | None = None,
) -> NDArray[np.int64]:
    """The samples taken, in the order they were, at most `limit` of them.

    Args:
        order: positions to walk, best first.
        radius: cosine distance up to which (inclusive) two samples are too near to each other.
        embeddings: (N, d) unit rows, for samples with more near neighbours than the graph stores.
        admits: a last word on each sample that would be taken (a quota).
    """
    radius = radius + _ROUNDING
    near = np.asarray((graph.distances <= radius).sum(axis=1))
    dense = (near == graph.k) & (graph.k < graph.num_samples - 1)
    blocked = np.zeros(graph.num_samples, dtype=np.bool_)
    taken_mask = np.zeros(graph.num_samples, dtype=np.bool_)
    taken: list[int] = []
    beside = None
    if embeddings is not None and dense[order].any():
        beside = _Taken(embeddings, radius, order[dense[order]], blocked)
    for n in order.tolist():
        if limit is not None and len(taken) >= limit:
            break
        if blocked[n] or (near[n] and taken_mask[graph.neighbors[n, : near[n]]].any()):
            continue
        if beside is not None and dense[n] and beside.has_near(n):
            continue
        if admits is not None and not admits(n):
            continue
        taken.append(n)
        taken_mask[n] = True
        if near[n]:
            blocked[graph.neighbors[n, : near[n]]] = True
        if beside is not None:
            beside.add(n)
    return np.array(taken, dtype=np.int64)


class _Taken:
    """Rows taken so far, for exact comparison with samples in dense places, a block of coming samples at a
    time.

    Args:
        coming: the dense samples in the order in which they will be asked about.
        blocked: (N,) samples that nobody will ask about; the caller keeps it up to date.
    """

    _BLOCK = 512

    def __init__(
        self,
        embeddings: NDArray[np.float32],
        radius: float,
        coming: NDArray[np.int64],
        blocked: NDArray[np.bool_],
    ) -> None:
        self._embeddings, self._least = embeddings, 1.0 - radius
        self._coming, self._blocked = coming, blocked
        self._place = {n: i for i, n in enumerate(coming.tolist())}
        self._rows = np.empty((1024, embeddings.shape[1]), dtype=np.float32)
        self._count = self._compared = 0
        self._known: dict[int, bool] = {}

    def add(self, n: int) -> None:
        if self._count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[self._count] = self._embeddings[n]
        self._count += 1

    def has_near(self, n: int) -> bool:
        """Whether a taken row lies within the radius of sample n."""
        if n not in self._known:
            self._compare_from(self._place[n])
        return self._known[n] or self._any_near(self._rows[self._compared : self._count], self._embeddings[n])

    def _compare_from(self, place: int) -> None:
        """Compare the next block of coming samples with everything taken so far."""
        rest = self._coming[place:]
        block = rest[np.flatnonzero(~self._blocked[rest[: 16 * self._BLOCK]])[: self._BLOCK]]
        similarity = self._embeddings[block] @ self._rows[: self._count].T
        near = np.asarray((similarity >= self._least).any(axis=1))
        self._known = dict(zip(block.tolist(), near.tolist(), strict=True))
        self._compared = self._count

    def _any_near(self, rows: NDArray[np.float32], row: NDArray[np.float32]) -> bool:
        return bool((rows @ row >= self._least).any())
