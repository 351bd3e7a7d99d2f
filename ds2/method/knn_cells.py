"""The approximate graph: a row is compared with the rows of the cells nearest to its own.

    cells      k-means on the sphere makes about 3 sqrt(N); a row belongs to the nearest centre
    order(c)   the cells by <mean of c, mean of the other>, c itself first
    near(n)    the k nearest to n among the rows of the first P cells of order(c), c the cell of n

P is counted, not guessed: of a sample of rows the true nearest 10 are known, so is at which place of the
order the cell of each lies, and P is the place before which _RECALL of them lie. Never fewer than _CELLS, nor
than hold 4 k rows: what lies beyond the tenth counts too. The rows of a cell share what they are compared
with, which makes a comparison one product of matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds2.base.threads import one_blas_thread
from ds2.method.knn_exact import search_exact, side_by_side

_RECALL = 0.96
"""Share of a row's 10 nearest that must be found: .95 with a margin for the sample's error."""
_SAMPLE = 1000
"""Rows that share is measured on."""
_CELLS = 8
"""Cells that are read at least."""
_WORTH = 0.3
"""Share of all pairs up to which comparing them cell by cell costs less than comparing every pair at once: of
40,000 and 80,000 rows of 64 to 384 numbers, .3 took 61 to 74 % of the time of all, .5 between 96 and 133 %.
"""
_PRODUCT = 1 << 21
"""Similarities that one thread holds at a time."""


def search_cells(
    x: NDArray[np.float32], k: int, progress: bool = False
) -> tuple[NDArray[np.int32], NDArray[np.float32], str, float]:
    """The k rows nearest to each row (itself among them) in the cells around it, among all rows where that
    costs less; how they were searched, and the share of all pairs that were compared.

    x (N, d): different rows of length 1.
    """
    n = len(x)
    cells = _divide(x)
    rows = np.random.default_rng(0).choice(n, min(_SAMPLE, n), replace=False)
    probes, recall = _choose_probes(cells, x, rows)
    lists = [_enough(cells, order, probes, min(4 * k, n)) for order in cells.order]
    size = cells.size
    share = sum(float(size[c]) * float(size[read].sum()) for c, read in enumerate(lists)) / n**2
    if share > _WORTH:
        search = f"every pair: nearness needs {share:.0%} of them, over {_WORTH:.0%}"
        return *search_exact(x, x, k, progress), search, 1.0
    near = np.empty((n, k), dtype=np.int32)
    dist = np.empty((n, k), dtype=np.float32)

    def search_cell(c: int) -> None:
        others = np.concatenate([cells.rows(int(other)) for other in np.sort(lists[c])])
        base, own = x[others].T, cells.rows(c)
        step = max(1, _PRODUCT // len(others))
        for start in range(0, len(own), step):
            queries = own[start : start + step]
            similarity, at = largest(x[queries] @ base, k)
            near[queries] = others[at]
            dist[queries] = np.maximum(1.0 - similarity, 0.0)

    read = f"{probes} of {len(lists)} cells"
    side_by_side(search_cell, range(len(lists)), f"neighbours in {read}" if progress else None)
    return near, dist, f"{read}: {recall:.1%} of the nearest 10 of {len(rows):,} rows found", share


@dataclass(frozen=True, eq=False)
class _Cells:
    """C cells, none empty, of N rows."""

    home: NDArray[np.int64]
    """(N,) the cell of each row."""
    members: NDArray[np.int64]
    """(N,) the rows, cell by cell, ascending within one."""
    start: NDArray[np.int64]
    """(C,) where a cell's rows begin in them."""
    size: NDArray[np.int64]
    """(C,) rows of a cell."""
    order: NDArray[np.int64]
    """(C, C) all cells in the order in which those of a cell are read."""

    def rows(self, cell: int) -> NDArray[np.int64]:
        return self.members[self.start[cell] : self.start[cell] + self.size[cell]]


def _divide(x: NDArray[np.float32]) -> _Cells:
    """K-means, and which cells are near to one another."""
    import faiss

    n, d = x.shape
    count = max(1, min(round(3 * n**0.5), n // 40))
    means = faiss.Clustering(d, count)
    means.niter, means.max_points_per_centroid, means.min_points_per_centroid = 6, 64, 1
    means.spherical = True
    index = faiss.IndexFlatIP(d)
    with one_blas_thread():
        means.train(x, index)
    centres: NDArray[np.float32] = index.reconstruct_n(0, count)
    nearest, _ = search_exact(x, centres, 1)
    _, home, size = np.unique(nearest[:, 0], return_inverse=True, return_counts=True)
    members = np.argsort(home, kind="stable")
    start = np.cumsum(size) - size
    mean = np.add.reduceat(x[members], start).astype(np.float64)
    mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
    with one_blas_thread():
        near = mean @ mean.T
    np.fill_diagonal(near, np.inf)
    return _Cells(home, members, start, size, np.argsort(-near, axis=1, kind="stable"))


def _choose_probes(cells: _Cells, x: NDArray[np.float32], rows: NDArray[np.int64]) -> tuple[int, float]:
    """The fewest cells in which _RECALL of the true nearest 10 of some rows are found; the share found."""
    truth, _ = search_exact(x[rows], x, min(11, len(x)))
    place = np.empty_like(cells.order)
    np.put_along_axis(place, cells.order, np.arange(len(place))[None, :], axis=1)
    places = place[cells.home[rows][:, None], cells.home[truth]][truth != rows[:, None]]
    probes = int(np.quantile(places, _RECALL, method="inverted_cdf")) + 1
    probes = max(probes, min(_CELLS, len(place)))
    return probes, float((places < probes).mean())


def _enough(cells: _Cells, order: NDArray[np.int64], probes: int, rows: int) -> NDArray[np.int64]:
    """The first cells of an order: so many, and until they hold so many rows."""
    if cells.size[order[:probes]].sum() >= rows:
        return order[:probes]
    return order[: int(np.searchsorted(np.cumsum(cells.size[order]), rows)) + 1]


def largest(values: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k largest of each row of (Q, M) finite values, descending, equals by column; and their columns.

    The k-th largest of the maxima of groups of columns is a value that k columns reach: what lies below it
    need not be sorted.
    """
    q, m = values.shape
    groups = m // min(max(m // (4 * k), 1), 32)
    if groups < 2 * k:
        return _sorted(values, np.broadcast_to(np.arange(m), values.shape), k)
    tops = values[:, : m // groups * groups].reshape(q, -1, groups).max(axis=1)
    least = np.partition(tops, groups - k, axis=1)[:, groups - k]
    row, column = np.divmod(np.flatnonzero(values >= least[:, None]), m)
    count = np.bincount(row, minlength=q)
    place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    reached = np.full((q, count.max()), -np.inf, dtype=np.float32)
    columns = np.zeros((q, count.max()), dtype=np.int64)
    reached[row, place], columns[row, place] = values[row, column], column
    return _sorted(reached, columns, k)


def _sorted(
    values: NDArray[np.float32], columns: NDArray[np.int64], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    first = np.argsort(-values, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(values, first, axis=1), np.take_along_axis(columns, first, axis=1)
