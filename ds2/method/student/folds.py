"""Folds that keep near-duplicates together: a copy's score must not teach its twin.

Twins are texts whose sets of words share at least ALIKE of their union (Jaccard), found by minhash: the
probability that the least hashed word of two sets is the same is their Jaccard similarity. Texts that agree
on all hashes of a band are compared word by word. Without texts, twins are neighbours at a cosine distance
of at most NEAR. Twins of twins stay together; where that would chain more than LARGEST of the rows, only
exact copies do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from ds2.method.knn import KnnGraph

ALIKE = 0.9
NEAR = 0.01
COPY = 1e-6
"""Distance up to which embeddings are those of one text."""
LARGEST = 0.05
BANDS, HASHES = 6, 3
"""A pair at ALIKE is missed with probability (1 - .9^3)^6 = .0004."""


def twin_groups(graph: KnnGraph, counts: Any | None) -> NDArray[np.int64]:
    """Group of every row, (N,) 0..G-1: rows of one group are copies or nearly so. counts: of `count_terms`,
    None without texts.
    """
    if counts is not None and counts.shape[1]:
        groups = _components(*_alike_texts(counts, ALIKE), counts.shape[0])
        if _largest_share(groups) <= LARGEST:
            return groups
        return _components(*_alike_texts(counts, 1.0), counts.shape[0])
    for limit in (NEAR, COPY):
        row, column = np.nonzero(graph.distances <= limit)
        groups = _components(row, graph.neighbors[row, column], graph.num_samples)
        if _largest_share(groups) <= LARGEST:
            break
    return groups


def seeded_folds(
    scores: NDArray[np.float64], rated: NDArray[np.bool_], groups: NDArray[np.int64], folds: int, seed: int
) -> NDArray[np.int64]:
    """Fold of every row, (N,) 0..folds-1, -1 where unrated; fewer folds where there are fewer groups.

    Groups are dealt in the order of their mean score, `folds` at a time in a seeded shuffle, so that folds
    have the same mixture of scores. A group too large for a fold goes to the emptiest.
    """
    rng = np.random.default_rng([seed, 13])
    _, group = np.unique(groups[rated], return_inverse=True)
    size = np.bincount(group)
    mean = np.bincount(group, weights=scores[rated]) / size
    order = np.lexsort((rng.random(len(size)), mean))
    F = min(folds, len(size))
    dealt = np.empty(len(size), dtype=np.int64)
    padded = -(-len(size) // F)
    dealt[order] = rng.permuted(np.tile(np.arange(F), (padded, 1)), axis=1).ravel()[: len(size)]
    large = np.flatnonzero(size > max(1, rated.sum() / (4 * F)))
    if len(large):
        load = np.bincount(
            dealt, weights=np.where(np.isin(np.arange(len(size)), large), 0, size), minlength=F
        )
        for g in large[np.argsort(-size[large], kind="stable")]:
            dealt[g] = int(load.argmin())
            load[dealt[g]] += size[g]
    out = np.full(len(scores), -1, dtype=np.int64)
    out[rated] = np.unique(dealt[group], return_inverse=True)[1]
    return out


def _components(row: NDArray[Any], column: NDArray[Any], n: int) -> NDArray[np.int64]:
    from scipy.sparse.csgraph import connected_components

    pairs = coo_array((np.ones(len(row), dtype=np.int8), (row, column)), shape=(n, n))
    return np.asarray(connected_components(pairs, directed=False)[1], dtype=np.int64)


def _largest_share(groups: NDArray[np.int64]) -> float:
    return float(np.bincount(groups).max() / len(groups))


def _alike_texts(counts: Any, alike: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of texts with a Jaccard similarity of at least `alike`, enough of them to connect every group
    found.
    """
    full = np.flatnonzero(np.diff(counts.indptr))
    words = csr_array(counts[full])
    rng = np.random.default_rng(14)
    left, right = [], []
    for _ in range(BANDS):
        key = np.zeros(len(full), dtype=np.uint64)
        for _ in range(HASHES):
            value = rng.integers(0, 2**63, words.shape[1], dtype=np.uint64)
            least = np.minimum.reduceat(value[words.indices], words.indptr[:-1]) if len(full) else key
            key = (key ^ least) * np.uint64(0x9E3779B97F4A7C15)
        order = np.argsort(key, kind="stable")
        same = np.flatnonzero(key[order[1:]] == key[order[:-1]])
        left.append(order[same])
        right.append(order[same + 1])
    i, j = np.concatenate(left), np.concatenate(right)
    i, j = np.unique(np.stack([np.minimum(i, j), np.maximum(i, j)], axis=1), axis=0).T
    has = csr_array((np.ones(words.nnz, dtype=np.float32), words.indices, words.indptr), shape=words.shape)
    size = np.diff(words.indptr)
    both = np.empty(len(i))
    for start in range(0, len(i), 4096):
        rows = slice(start, start + 4096)
        both[rows] = np.asarray(has[i[rows]].multiply(has[j[rows]]).sum(axis=1)).ravel()
    near = both >= alike * (size[i] + size[j] - both) - 1e-9
    return full[i[near]], full[j[near]]
