"""Approximate nearest neighbours on a GPU, by cuVS's NN-descent: `knn_graph(method="cuvs", device="cuda")`.

Only who is near whom is taken from cuVS. Distances are computed here in full float32, rows that were not
given k different neighbours are searched again among all, and every pair is compared where a sample shows
that too few neighbours were found, or where rows are few. NN-descent draws at random on the GPU: two
graphs of the same rows may differ.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import UserError
from ds2.method.knn_faiss import EVERY_PAIR
from ds2.method.knn_torch import QUERIES, search_torch

_RECALL = 0.95
"""Share of a sample's 10 nearest that must have been found."""
_NEAREST = 10
_SAMPLE = 1000
"""Rows that share is measured on."""
_WORTH_FROM = 65_536
"""Rows below which every pair is compared: a second or less on a GPU."""
_ITERATIONS = 20
"""Rounds of NN-descent at the most."""


def search_cuvs(
    x: NDArray[np.float32], k: int, *, device: str = "cuda"
) -> tuple[NDArray[np.int32], NDArray[np.float32], str]:
    """The k rows nearest to each row, itself mostly among them, (N, k) indices and 1 - cosine, ascending; and
    how they were found, with the share of the nearest 10 of 1,000 rows that is among them. UserError where
    cuVS is not installed.
    """
    import torch

    if len(x) < _WORTH_FROM:
        return *search_torch(x, x, k, device=device), EVERY_PAIR
    near = _nn_descent(torch.from_numpy(x).to(device), k)
    dist = np.empty(near.shape, dtype=np.float32)
    _by_distance(x, near, dist, device)
    odd = np.flatnonzero(_not_k_rows(near, len(x)))
    if odd.size:
        near[odd], dist[odd] = search_torch(x[odd], x, k, device=device)
    found = _recall(x, near, device)
    if found < _RECALL:
        search = f"{EVERY_PAIR}: NN-descent found {found:.1%} of the nearest {_NEAREST}"
        return *search_torch(x, x, k, device=device), search
    sample = min(_SAMPLE, len(x))
    return near, dist, f"NN-descent: {found:.1%} of the nearest {_NEAREST} of {sample:,} rows found"


def _nn_descent(x: Any, k: int) -> NDArray[np.int32]:
    """cuVS's graph of the unit rows of a tensor: by squared distance, whose order is that of the cosine."""
    import torch

    try:
        from cuvs.neighbors import all_neighbors, nn_descent
    except ImportError as error:
        raise UserError(f"method='cuvs' needs cuVS 25.10 or later, which is not there: {error}") from error
    descent = nn_descent.IndexParams(
        metric="sqeuclidean", graph_degree=k, intermediate_graph_degree=2 * k, max_iterations=_ITERATIONS
    )
    params = all_neighbors.AllNeighborsParams(
        algo="nn_descent", metric="sqeuclidean", n_clusters=1, overlap_factor=1, nn_descent_params=descent
    )
    near = torch.empty((len(x), k), dtype=torch.int64, device=x.device)
    all_neighbors.build(x, k, params, indices=near)
    # What is no row becomes -1, before a narrower number makes a row of it.
    near[(near < 0) | (near >= len(x))] = -1
    return np.asarray(near.to(torch.int32).cpu().numpy())


def _by_distance(
    x: NDArray[np.float32], near: NDArray[np.int32], dist: NDArray[np.float32], device: str
) -> None:
    """Fill `dist`, and sort each row of both by it."""
    import torch

    rows = torch.from_numpy(x).to(device)
    for start in range(0, len(x), QUERIES):
        block = slice(start, start + QUERIES)
        ids = torch.from_numpy(near[block]).to(device).long()
        similarity = torch.empty(ids.shape, device=device)
        for column in range(ids.shape[1]):  # (rows, k, d) at once would be gigabytes
            similarity[:, column] = (rows[block] * rows[ids[:, column]]).sum(dim=1)
        distance, order = (1.0 - similarity).clamp_min_(0).sort(dim=1)
        near[block] = ids.gather(1, order).to(torch.int32).cpu().numpy()
        dist[block] = distance.cpu().numpy()


def _not_k_rows(near: NDArray[np.int32], n: int) -> NDArray[np.bool_]:
    """Rows that hold an index of no row, or one twice."""
    odd = np.empty(n, dtype=np.bool_)
    for start in range(0, n, QUERIES):
        ids = np.sort(near[start : start + QUERIES], axis=1)
        outside = (ids[:, 0] < 0) | (ids[:, -1] >= n)
        odd[start : start + QUERIES] = outside | (ids[:, 1:] == ids[:, :-1]).any(axis=1)
    return odd


def _recall(x: NDArray[np.float32], near: NDArray[np.int32], device: str) -> float:
    """Share of the 10 nearest others of a sample of rows that is among their neighbours."""
    asked = np.random.default_rng(0).choice(len(x), min(_SAMPLE, len(x)), replace=False)
    truth, _ = search_torch(x[asked], x, min(_NEAREST + 1, near.shape[1]), device=device)
    others = truth != asked[:, None]
    hit = (near[asked][:, :, None] == truth[:, None, :]).any(axis=1) & others
    return float(hit.sum() / max(others.sum(), 1))
