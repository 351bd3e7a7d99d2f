"""The k-nearest-neighbour graph: built once, read by every later step.

    x_n        unit row of sample n                       (N, d)
    D(n, m)  = 1 - <x_n, x_m>, at least 0                 cosine distance
    graph[n] = the k samples m != n of smallest D(n, m), ascending, ties by row index

Invariants: a sample is never its own neighbour; every row holds k different samples; the graph is the same
bit for bit however many threads search on a CPU, and the exact one the same on every machine up to
neighbours whose distances lie within float32 rounding (1e-6) of each other. Exact duplicate rows are
collapsed before the search and expanded after it: a sample's copies are its first neighbours, at distance
0, in row order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds2.base.checks import number_array, one_of, whole_number
from ds2.base.errors import UserError
from ds2.method.choices import Device, KnnMethod
from ds2.method.knn_blocks import Blocks
from ds2.method.knn_faiss import EVERY_PAIR, search_cells, search_exact

_BLOCK = 4096
"""Rows looked at together: bounds memory."""


@dataclass(frozen=True, eq=False)
class KnnGraph:
    """Nearest neighbours of every sample, itself excluded.

    `neighbors` (N, k) int32 are row indices and `distances` (N, k) float32 are 1 - cosine, ascending along
    each row.
    """

    neighbors: NDArray[np.int32]
    distances: NDArray[np.float32]
    search: str = EVERY_PAIR
    """How they were found."""
    compared: float = 1.0
    """Share of all pairs that were compared, where this search made the graph; 1 also where that is not told
    (`cuvs`)."""

    def __post_init__(self) -> None:
        _check_graph(self.neighbors, self.distances)

    @property
    def num_samples(self) -> int:
        """N."""
        return int(self.neighbors.shape[0])

    @property
    def k(self) -> int:
        """Neighbours stored per sample."""
        return int(self.neighbors.shape[1])

    def truncate(self, k: int) -> KnnGraph:
        """The graph of the k nearest neighbours; ValueError where fewer are stored."""
        if whole_number("k", k, 1) > self.k:
            raise UserError(f"cannot take {k} neighbours from a graph that stores {self.k}")
        return KnnGraph(self.neighbors[:, :k], self.distances[:, :k], self.search)


def _check_graph(near: NDArray[Any], dist: NDArray[Any]) -> None:
    """Refuse what would read beyond an array in compiled code, or be silently wrong: 0.2 s for a million
    rows of 96.
    """
    if not isinstance(near, np.ndarray) or not isinstance(dist, np.ndarray):
        raise TypeError("a graph needs neighbors and distances as numpy arrays")
    if near.ndim != 2 or near.shape != dist.shape or not near.size:
        raise UserError(
            "a graph needs neighbors and distances of the same shape (N, k), at least one each, "
            f"got {near.shape} and {dist.shape}"
        )
    if near.dtype.kind not in "iu" or dist.dtype.kind != "f":
        raise TypeError(
            f"a graph needs integer neighbors and float distances, got {near.dtype} and {dist.dtype}"
        )
    if near.min() < 0 or near.max() >= len(near):
        raise UserError(f"neighbors must be rows 0..{len(near) - 1}, got {near.min()} to {near.max()}")
    for start in range(0, len(near), _BLOCK):
        rows = slice(start, start + _BLOCK)
        itself = np.arange(start, start + len(near[rows]))[:, None]
        if (near[rows] == itself).any():
            raise UserError("a sample must not be its own neighbor")
        ascending = (dist[rows, 1:] >= dist[rows, :-1]).all()  # False beside a NaN too
        if not (ascending and (dist[rows, 0] >= 0).all() and (dist[rows, -1] < np.inf).all()):
            raise UserError("distances must be finite, at least 0, and ascend along each row")


def unit_rows(embeddings: ArrayLike) -> NDArray[np.float32]:
    """Rows scaled to length 1, (N, d) float32, C order; ValueError naming the first row that is NaN,
    infinite or zero.
    """
    x = number_array("embeddings", embeddings)
    if x.ndim != 2 or x.shape[1] == 0:
        raise UserError(f"embeddings must be an (N, d) array, got shape {x.shape}")
    out = np.empty(x.shape, dtype=np.float32)
    for start in range(0, len(x), _BLOCK):
        block = x[start : start + _BLOCK].astype(np.float64)
        # Dividing by the largest entry first keeps squares of huge or tiny float64 rows representable.
        top = np.abs(block).max(axis=1, keepdims=True)
        bad = np.flatnonzero(~np.isfinite(top[:, 0]) | (top[:, 0] == 0))
        if bad.size:
            kind = "zero" if top[bad[0], 0] == 0 else "not finite (NaN or infinite)"
            raise UserError(f"embeddings row {start + int(bad[0])} is {kind}")
        block /= top
        out[start : start + _BLOCK] = block / np.linalg.norm(block, axis=1, keepdims=True)
    out += 0.0  # -0.0 becomes 0.0, so that equal rows have equal bytes
    return out


def knn_graph(
    embeddings: ArrayLike,
    k: int = 64,
    *,
    method: str = "exact",
    device: str = "cpu",
    progress: bool = False,
    keep: Blocks | None = None,
) -> KnnGraph:
    """Graph of each sample's k nearest others by cosine distance; fewer (N - 1) where the pool is smaller
    than that.

    embeddings: (N, d) numbers, normalised here. method: `exact` searches every pair (FAISS flat; torch where
    device is `cuda`); `approximate`, for pools past a million, those in the nearest cells of an inverted
    file, so many cells that 96 % of the nearest 10 are found (counted on a sample); where that asks for more
    than 15 % of the cells, as among texts without structure, it compares every pair, which is faster; `cuvs`
    is NN-descent on a GPU (`ds2.method.knn_cuvs`). progress: show a bar. keep: where a search of 65,536 rows
    or more on the CPU keeps what it has found, and goes on from when it is called again
    (`ds2.artifacts.graph_blocks`). ValueError for NaN, infinite or zero rows (the first is named), fewer
    than two samples, k below 1, `approximate` on `cuda`, or `cuvs` elsewhere or where it is not installed.
    """
    k = whole_number("k", k, 1)
    one_of("method", method, KnnMethod)
    one_of("device", device, Device)
    if method == "approximate" and device == "cuda":
        raise UserError("method='approximate' searches on the CPU only: use device='cpu', or method='exact'")
    if method == "cuvs" and device != "cuda":
        raise UserError("method='cuvs' searches on a GPU only: use device='cuda', or method='approximate'")
    x = unit_rows(embeddings)
    if len(x) < 2:
        raise UserError(f"a graph needs at least 2 samples, got {len(x)}")
    k = min(k, len(x) - 1)
    first, group = collapse_duplicates(x)
    if len(first) < len(group):
        x = x[first]  # the search has a copy of its own: no third one
    width = min(k + 1, len(x))
    search, compared = EVERY_PAIR, 1.0
    if method == "approximate":
        near, dist, search, compared = search_cells(x, width, progress, keep)
    elif method == "cuvs":
        from ds2.method.knn_cuvs import search_cuvs

        near, dist, search = search_cuvs(x, width)
    elif device == "cuda":
        from ds2.method.knn_torch import search_torch

        near, dist = search_torch(x, x, width, device="cuda")
    else:
        near, dist = search_exact(x, x, width, progress, keep)
    near, dist = _drop_self(near, dist, np.arange(len(x)))
    if len(first) < len(group):
        near, dist = _expand_groups(near, dist, group, k)
    return KnnGraph(*_ties_by_index(near[:, :k], dist[:, :k]), search, compared)


def collapse_duplicates(x: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that differ: `first` (U,) row of each group's first member, `group` (N,) the group of every row.

    Groups are numbered in order of first appearance, so that ties by group are ties by row.
    """
    words = np.ascontiguousarray(x).view(np.uint32)
    odd = np.random.default_rng(0).integers(0, 2**63, x.shape[1], dtype=np.uint64) * 2 + 1
    keys = np.empty(len(x), dtype=np.uint64)
    for start in range(0, len(x), _BLOCK):
        mixed = words[start : start + _BLOCK].astype(np.uint64) * odd
        keys[start : start + _BLOCK] = (mixed ^ (mixed >> np.uint64(29))).sum(axis=1, dtype=np.uint64)
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    repeated = np.flatnonzero(first[group] != np.arange(len(x)))
    if repeated.size and not np.array_equal(words[repeated], words[first[group[repeated]]]):
        _, first, group = np.unique(words, axis=0, return_index=True, return_inverse=True)  # hash collision
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[group.ravel()]


def _drop_self(
    near: NDArray[np.int32], dist: NDArray[np.float32], itself: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """One column fewer: the row's own index where it occurs, else the last (rounding hid the sample behind
    equals).
    """
    n, width = near.shape
    keep = near != itself[:, None]
    keep[keep.all(axis=1), -1] = False
    return near[keep].reshape(n, width - 1), dist[keep].reshape(n, width - 1)


def _expand_groups(
    near: NDArray[np.int32], dist: NDArray[np.float32], group: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """From neighbours among groups of equal rows (U, w) to neighbours among rows (N, k)."""
    members = np.argsort(group, kind="stable")
    size = np.bincount(group)
    start = np.cumsum(size) - size
    out_near = np.empty((len(group), k), dtype=np.int32)
    out_dist = np.empty((len(group), k), dtype=np.float32)
    for low in range(0, len(size), _BLOCK):
        high = min(low + _BLOCK, len(size))
        groups = np.concatenate([np.arange(low, high)[:, None], near[low:high]], axis=1)
        distance = np.concatenate([np.zeros((high - low, 1), np.float32), dist[low:high]], axis=1)
        # Each row of lists holds the first k + 1 samples: its own group, then its neighbours' groups in
        # order.
        end = np.minimum(np.cumsum(size[groups], axis=1), k + 1)
        take = np.diff(end, axis=1, prepend=0).ravel()
        offset = np.arange(take.sum()) - np.repeat(np.cumsum(take) - take, take)
        rows = members[np.repeat(start[groups].ravel(), take) + offset].reshape(high - low, k + 1)
        spread = np.repeat(distance.ravel(), take).reshape(high - low, k + 1)
        samples = members[start[low] : start[high - 1] + size[high - 1]]
        local = group[samples] - low
        out_near[samples], out_dist[samples] = _drop_self(
            rows[local].astype(np.int32), spread[local], samples
        )
    return out_near, out_dist


def _ties_by_index(
    near: NDArray[np.int32], dist: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    near, dist = np.ascontiguousarray(near), np.ascontiguousarray(dist)
    rows = np.flatnonzero((np.diff(dist, axis=1) <= 0).any(axis=1))
    if rows.size:
        order = np.lexsort((near[rows], dist[rows]))
        near[rows] = np.take_along_axis(near[rows], order, axis=1)
        dist[rows] = np.take_along_axis(dist[rows], order, axis=1)
    return near, dist
