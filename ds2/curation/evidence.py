"""What the model of `composition` sees of a pool: every sample's own scores and counts of its neighbours' scores.

Neighbours are grouped into B bins of distance (quantiles over all edges), so that how much a neighbour is worth can be
learned as a function of how near it is. For rater r, bin b, score j:

    H[n, r, b, j] = number of n's neighbours in bin b that rater r scored j            (N, R, B, K)

Unrated samples (-1) are counted nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds2.knn import KnnGraph

Array = NDArray[np.float64]

BINS = 4
"""Bins of distance."""
_EDGE_SAMPLE = 5000
"""Rows from which the quantiles of distance are read."""


@dataclass(frozen=True)
class Evidence:
    """`scores` (N, R), -1 unrated; `counts` (N, R * B * K) float32, the H of the module's head."""

    scores: NDArray[np.int64]
    counts: NDArray[np.float32]
    num_scores: int
    num_bins: int

    @property
    def num_raters(self) -> int:
        """R."""
        return int(self.scores.shape[1])

    def take(self, rows: NDArray[np.int64]) -> Evidence:
        """Evidence of some rows; their neighbours' scores stay counted."""
        return Evidence(self.scores[rows], self.counts[rows], self.num_scores, self.num_bins)

    def marginal(self, rater: int) -> Array:
        """Share of each score among a rater's scores, (K,), with half a sample added to each level."""
        s = self.scores[:, rater]
        m = np.bincount(s[s >= 0], minlength=self.num_scores) + 0.5
        return np.asarray(m / m.sum())


def distance_bins(graph: KnnGraph, num_bins: int = BINS) -> NDArray[np.int8]:
    """Bin of every edge, (N, k); 0 is nearest."""
    step = max(1, graph.num_samples // _EDGE_SAMPLE)
    edges = np.quantile(graph.distances[::step], np.arange(1, num_bins) / num_bins)
    return np.searchsorted(edges, graph.distances).astype(np.int8)


def gather_evidence(
    graph: KnnGraph, scores: NDArray[np.int64], num_scores: int, bins: NDArray[np.int8]
) -> Evidence:
    """Count neighbours' scores. scores (N, R); bins (N, k) from `distance_bins`."""
    N, R = scores.shape
    B = int(bins.max(initial=0)) + 1
    counts = np.empty((N, R, B * num_scores), dtype=np.float32)
    offset = np.arange(N)[:, None] * (B * num_scores) + bins.astype(np.int64) * num_scores
    for r in range(R):
        theirs = scores[graph.neighbors, r]
        rated = theirs >= 0
        flat = np.bincount((offset + theirs)[rated], minlength=N * B * num_scores)
        counts[:, r] = flat.reshape(N, B * num_scores)
    return Evidence(scores, counts.reshape(N, -1), num_scores, B)
