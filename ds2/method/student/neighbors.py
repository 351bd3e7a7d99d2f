"""What the neighbours' scores say of a sample: their mean, drawn to the pool's where few are rated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ds2.method.knn import KnnGraph

Array = NDArray[np.float64]

PRIOR = 3.0
"""Neighbours that the pool's mean counts for."""
_BLOCK = 65_536


def neighbor_mean(
    graph: KnnGraph, scores: Array, rated: NDArray[np.bool_], groups: NDArray[np.int64], k: int
) -> Array:
    """(sum of the k nearest rated neighbours' scores + PRIOR m) / (their number + PRIOR), (N,); m the mean
    of all.

    Neighbours of a rated row's own group (its near-duplicates) do not count: they must not teach it.
    """
    mean = float(scores[rated].mean())
    out = np.empty(len(scores))
    for start in range(0, len(scores), _BLOCK):
        rows = slice(start, start + _BLOCK)
        near = graph.neighbors[rows]
        twin = (groups[near] == groups[rows, None]) & rated[rows, None]
        counted = rated[near] & ~twin
        counted &= np.cumsum(counted, axis=1) <= k
        total = np.where(counted, scores[near], 0.0).sum(axis=1)
        out[rows] = (total + PRIOR * mean) / (counted.sum(axis=1) + PRIOR)
    return out
