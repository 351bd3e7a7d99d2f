"""A local prior carried along the graph: neighbours inform what a sample's score is likely to be, and no
more than that.

With A the graph's edges weighted by the worth c of their bin, O_n(y) = prod_r T_r[y, s_nr], and P_n the
belief about y_n,

    pi_n(y) ~ alpha p(y) + sum_m A_nm P_m(y)          P_n(y) ~ pi_n(y) O_n(y)

iterated from P_n ~ p O_n. Beliefs are averaged, not multiplied: neighbours' errors may be shared (a rater
that dislikes a topic dislikes it everywhere), and evidence reaches further than one step.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]

ALPHA = 0.1
"""Weight of the pool's prior, in neighbours."""
ROUNDS = 15


def smoothed_prior(weighted: csr_array, likelihood: Array32, p: Array, *, rounds: int = ROUNDS) -> Array:
    """pi of the module's head, (N, K). weighted (N, N): A; likelihood (N, K) of each sample's own
    scores; p (K,).
    """
    base = (ALPHA * p).astype(np.float32)
    prior = np.broadcast_to(p.astype(np.float32), likelihood.shape)
    for _ in range(rounds):
        belief = prior * likelihood
        belief /= belief.sum(axis=1, keepdims=True)
        prior = weighted @ belief + base
    return np.asarray(prior / prior.sum(axis=1, keepdims=True), dtype=np.float64)
