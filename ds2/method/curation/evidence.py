"""What the model of `composition` sees of a pool: every sample's own scores and counts of its neighbours'
scores.

Neighbours are grouped into B bins of distance (quantiles over all edges), so that how much a neighbour is
worth can be learned as a function of how near it is. For rater r, bin b, score j:

    H[n, r, b, j] = number of n's neighbours in bin b that rater r scored j            (N, R, B, K)

Unrated samples (-1) are counted nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ds2.method.knn import KnnGraph

Array = NDArray[np.float64]

BINS = 4
"""Bins of distance."""
_EDGE_SAMPLE = 5000
"""Rows from which the quantiles of distance are read."""


@dataclass(frozen=True)
class Evidence:
    """`scores` (N, R), -1 unrated; `counts` (N, R * B * K) float32, the H of the module's head; `known`
    (N,) true scores that people gave (anchors), -1 where nobody did, or None.
    """

    scores: NDArray[np.int64]
    counts: NDArray[np.float32]
    num_scores: int
    num_bins: int
    known: NDArray[np.int64] | None = None

    @property
    def num_raters(self) -> int:
        """R."""
        return int(self.scores.shape[1])

    def take(self, rows: NDArray[np.int64]) -> Evidence:
        """Evidence of some rows; their neighbours' scores stay counted."""
        known = None if self.known is None else self.known[rows]
        return Evidence(self.scores[rows], self.counts[rows], self.num_scores, self.num_bins, known)

    def marginal(self, rater: int) -> Array:
        """Share of each score among a rater's scores, (K,), with half a sample added to each level."""
        s = self.scores[:, rater]
        m = np.bincount(s[s >= 0], minlength=self.num_scores) + 0.5
        return np.asarray(m / m.sum())


def neighbor_edges(graph: KnnGraph, num_bins: int = BINS) -> csr_array:
    """The graph as a sparse (N, N) int8 matrix: entry [n, m] is 1 + the bin of the edge from n to its
    neighbour m, 1 nearest.
    """
    N, k = graph.neighbors.shape
    step = max(1, N // _EDGE_SAMPLE)
    limits = np.quantile(graph.distances[::step], np.arange(1, num_bins) / num_bins)
    entries = (1 + np.searchsorted(limits, graph.distances)).astype(np.int8)
    return csr_array((entries.ravel(), graph.neighbors.ravel(), np.arange(0, N * k + 1, k)), shape=(N, N))


def both_ways(edges: csr_array) -> csr_array:
    """Every edge in both directions: those that count a sample among their nearest tell of it too."""
    return csr_array(edges.maximum(edges.T))


def gather_evidence(
    edges: csr_array,
    scores: NDArray[np.int64],
    num_scores: int,
    num_bins: int = BINS,
    known: NDArray[np.int64] | None = None,
) -> Evidence:
    """Count neighbours' scores along edges (`neighbor_edges`). scores (N, R); known as in `Evidence`."""
    (N, R), width = scores.shape, num_bins * num_scores
    counts = np.empty((N, R, width), dtype=np.float32)
    place = np.repeat(np.arange(N, dtype=np.int64), np.diff(edges.indptr)) * width
    place += (edges.data.astype(np.int64) - 1) * num_scores
    for r in range(R):
        theirs = scores[edges.indices, r]
        rated = theirs >= 0
        counts[:, r] = np.bincount((place + theirs)[rated], minlength=N * width).reshape(N, width)
    return Evidence(scores, counts.reshape(N, -1), num_scores, num_bins, known)
