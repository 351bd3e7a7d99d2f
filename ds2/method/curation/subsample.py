"""Nearest neighbours inside a random subsample, read from the whole pool's graph.

The paper's rounds each draw a subsample S and search for neighbours within it. The k nearest of n in S are
the first k sampled ones among all of n's neighbours in order, so one graph serves every round:

    neighbours of n in S = first k entries m of graph[n] with m in S

This is exact wherever graph[n] holds k sampled entries. Rows that run out are searched exactly (embeddings
given) or refused with the k that would have been enough: never silently cut short.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import UserError
from ds2.method.knn import KnnGraph
from ds2.method.knn_faiss import search_exact

MAX_SUBSAMPLE = 50_000
"""Largest subsample of a round (the authors')."""
SHARE = 0.9
"""Largest share of the pool in a round (the authors')."""
MAX_WIDTH = 128
"""Neighbours beyond which no graph is stored: where one sample in ten or fewer is drawn, a hundred exact
searches among the drawn cost less than the search of the whole pool.
"""


def subsample_size(num_rated: int) -> int:
    """Rows drawn in a round: min(50,000, 0.9 N), at least one."""
    return max(1, min(MAX_SUBSAMPLE, int(SHARE * num_rated)))


def graph_width(num_samples: int, k: int, num_rated: int | None = None) -> int:
    """Neighbours to store so that about one row in a thousand, or fewer, runs out of sampled ones.

    The number sampled among w neighbours is about Binomial(w, q); w is the smallest that leaves k of them 2.9
    standard deviations below the mean, at most MAX_WIDTH.
    """
    q = subsample_size(num_rated or num_samples) / max(num_samples, 1)
    w = k
    while w * q - 2.9 * math.sqrt(w * q * (1 - q)) < k and w < MAX_WIDTH:
        w += 4
    return max(1, min(w, num_samples - 1))


@dataclass(frozen=True)
class Neighborhood:
    """Pool rows of the k nearest neighbours inside a subsample: `rows` (n, k), `distances` (n, k)
    ascending.
    """

    rows: NDArray[np.int32]
    distances: NDArray[np.float32]


def neighbors_within(
    graph: KnnGraph,
    drawn: NDArray[np.int64],
    k: int,
    embeddings: NDArray[np.float32] | None = None,
    *,
    queries: NDArray[np.int64] | None = None,
) -> Neighborhood:
    """The k nearest sampled neighbours of every drawn row (or of `queries`), itself excluded.

    drawn: (n,) different pool rows. embeddings: (N, d) unit rows for the exact search of rows whose graph
    runs out. ValueError where rows run out and there are no embeddings, or the subsample holds fewer than k
    + 1 rows.
    """
    queries = drawn if queries is None else queries
    if len(drawn) <= k:
        raise UserError(f"{k} neighbours were asked of a subsample of {len(drawn)} samples")
    inside = np.zeros(graph.num_samples, dtype=bool)
    inside[drawn] = True
    rows = np.empty((len(queries), k), dtype=np.int32)
    distances = np.empty((len(queries), k), dtype=np.float32)
    left = np.arange(len(queries))
    # Most rows need little more than k / q entries: look there first and widen only for those that fall
    # short.
    width = min(graph.k, math.ceil(1.2 * k * graph.num_samples / len(drawn)) + 2)
    while left.size:
        near = graph.neighbors[queries[left], :width]
        sampled = inside[near]
        sampled &= np.cumsum(sampled, axis=1, dtype=np.int16) <= k
        done = sampled.sum(axis=1) == k
        pick = sampled & done[:, None]
        rows[left[done]] = near[pick].reshape(-1, k)
        distances[left[done]] = graph.distances[queries[left], :width][pick].reshape(-1, k)
        left = left[~done]
        if width == graph.k:
            break
        width = min(graph.k, 2 * width)
    if left.size:
        if embeddings is None:
            raise UserError(
                f"{left.size} samples have fewer than {k} sampled neighbours among the {graph.k} stored; "
                f"give embeddings too, or a graph of about {_enough(graph, len(drawn), k)} neighbours"
            )
        rows[left], distances[left] = _search_within(embeddings, drawn, queries[left], k)
    return Neighborhood(rows, distances)


def _enough(graph: KnnGraph, num_drawn: int, k: int) -> int:
    """Width at which even the unluckiest of N rows should hold k sampled ones (six standard deviations)."""
    q = num_drawn / graph.num_samples
    w = max(k, graph.k)
    while w * q - 6 * math.sqrt(w * q * (1 - q)) < k and w < graph.num_samples - 1:
        w += 8
    return int(min(w, graph.num_samples - 1))


def _search_within(
    embeddings: NDArray[np.float32], drawn: NDArray[np.int64], rows: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Exact search among the drawn rows; ties at equal distance by row, as in the graph."""
    drawn = np.sort(drawn)
    # A few more than k + 1, so that a run of equal distances at the boundary is ordered by row.
    near, dist = search_exact(embeddings[rows], embeddings[drawn], min(len(drawn), k + 17))
    near = drawn[near].astype(np.int32)
    dist[near == rows[:, None]] = np.inf  # the sample itself goes last
    order = np.lexsort((near, dist))[:, :k]
    return np.take_along_axis(near, order, axis=1), np.take_along_axis(dist, order, axis=1)
