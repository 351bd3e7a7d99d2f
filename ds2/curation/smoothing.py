"""A local prior carried along the graph: neighbours inform what a sample's score is likely to be, and no more than that.

With A the graph's edges weighted by the worth c of their bin, O_n(y) = prod_r T_r[y, s_nr], and P_n the belief about y_n,

    pi_n(y) ~ alpha p(y) + sum_m A_nm P_m(y)          P_n(y) ~ pi_n(y) O_n(y)

iterated from P_n ~ p O_n. Beliefs are averaged, not multiplied: neighbours' errors may be shared (a rater that dislikes a
topic dislikes it everywhere), and evidence reaches further than one step.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ds2.knn import KnnGraph

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]

ALPHA = 0.1
"""Weight of the pool's prior, in neighbours."""
ROUNDS = 15


def smoothed_prior(
    graph: KnnGraph, edge_weights: Array32, own: Array32, p: Array, *, rounds: int = ROUNDS
) -> Array:
    """pi of the module's head, (N, K). edge_weights (N, k); own (N, K) likelihood of each sample's own scores; p (K,)."""
    N, k = graph.neighbors.shape
    ends = np.arange(0, N * k + 1, k)
    edges = csr_array((edge_weights.ravel(), graph.neighbors.ravel(), ends), shape=(N, N))
    base = (ALPHA * p).astype(np.float32)
    prior = np.broadcast_to(p.astype(np.float32), own.shape)
    for _ in range(rounds):
        belief = prior * own
        belief /= belief.sum(axis=1, keepdims=True)
        prior = edges @ belief + base
    return np.asarray(prior / prior.sum(axis=1, keepdims=True), dtype=np.float64)
