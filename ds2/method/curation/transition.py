"""Score transition matrix by higher-order consensus (HOC; Zhu et al., ICML 2021; DS2 section 4.1).

    T[i, j] = P(rated j | true i)     rows sum to 1                                 (K, K)
    p[i]    = P(true i)               sums to 1                                     (K,)

Clusterability: a sample and its two nearest neighbours share the true score. With (s0, s1, s2) their scores,

    c1[a]       = P(s0=a)             = sum_i p_i T_ia
    c2[a, b]    = P(s0=a, s1=b)       = sum_i p_i T_ia T_ib
    c3[a, b, c] = P(s0=a, s1=b, s2=c) = sum_i p_i T_ia T_ib T_ic

The left sides are counted (mean over random subsamples), the right sides fitted: minimise, over A and b,

    L = ||c1 - ĉ1|| + ||c2 - ĉ2|| + ||c3 - ĉ3||      T = row-softmax(A), p = softmax(b)

with unsquared Frobenius norms.

The minimum is identified only up to a permutation of the true scores, and near-equal minima exist; see
`fit_transition`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from ds2.base.threads import one_blas_thread
from ds2.method.curation.result import FitSummary
from ds2.method.curation.subsample import neighbors_within, subsample_size
from ds2.method.knn import KnnGraph

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Consensus:
    """Relative frequencies of the scores of a sample and its two nearest neighbours: `c1` (K,), `c2` (K,
    K), `c3` (K, K, K).
    """

    c1: Array
    c2: Array
    c3: Array


@dataclass(frozen=True)
class TransitionFit:
    """A fitted transition matrix `T` (K, K) and prior `p` (K,), its loss and the optimiser's steps."""

    T: Array
    p: Array
    loss: float
    steps: int


def count_consensus(
    graph: KnnGraph,
    scores: NDArray[np.int64],
    num_scores: int,
    *,
    rounds: int = 50,
    seed: int = 0,
    embeddings: NDArray[np.float32] | None = None,
) -> Consensus:
    """ĉ1, ĉ2, ĉ3 averaged over `rounds` random subsamples of min(50,000, 0.9 N) rated samples.

    scores: (N,) in 0..K-1, -1 unrated (neither drawn nor counted as a neighbour).
    """
    rated = np.flatnonzero(scores >= 0)
    rng = np.random.default_rng([seed, 1])
    counts = np.zeros(num_scores**3)
    size = min(len(rated), max(3, subsample_size(len(rated))))
    for _ in range(rounds):
        drawn = rng.choice(rated, size=size, replace=False, shuffle=False)
        near = neighbors_within(graph, drawn, 2, embeddings).rows
        triple = (scores[drawn] * num_scores + scores[near[:, 0]]) * num_scores + scores[near[:, 1]]
        counts += np.bincount(triple, minlength=num_scores**3)
    c3 = (counts / counts.sum()).reshape(num_scores, num_scores, num_scores)
    return Consensus(c1=c3.sum(axis=(1, 2)), c2=c3.sum(axis=2), c3=c3)


def hoc_loss(T: Array, p: Array, target: Consensus) -> float:
    """L of the module's head."""
    return _loss_and_gradient(T, p, target)[0]


def _loss_and_gradient(T: Array, p: Array, target: Consensus) -> tuple[float, Array, Array]:
    """L, dL/dT and dL/dp. The norm of a residual r has gradient r / ||r||."""
    K = len(p)
    weighted = p[:, None] * T
    pairs = (T[:, :, None] * T[:, None, :]).reshape(K, K * K)
    r1 = weighted.sum(axis=0) - target.c1
    r2 = weighted.T @ T - target.c2
    r3 = (weighted.T @ pairs).reshape(K, K, K) - target.c3
    n1, n2, n3 = (float(np.sqrt((r * r).sum())) for r in (r1, r2, r3))
    g1, g2, g3 = r1 / max(n1, 1e-12), r2 / max(n2, 1e-12), r3 / max(n3, 1e-12)
    # g3 contracted with two rows of T, once for each of the three axes that is left open.
    open_a = pairs @ g3.reshape(K, K * K).T
    open_c = pairs @ g3.reshape(K * K, K)
    open_b = pairs @ g3.transpose(0, 2, 1).reshape(K * K, K)
    dT = p[:, None] * (g1 + T @ (g2 + g2.T) + open_a + open_b + open_c)
    dp = T @ g1 + ((T @ g2) * T).sum(axis=1) + (open_a * T).sum(axis=1)
    return n1 + n2 + n3, dT, dp


@one_blas_thread()
def hoc_adam(
    target: Consensus, *, start: Array | None = None, steps: int = 1501, lr: float = 0.1
) -> TransitionFit:
    """The paper's optimiser: Adam on (A, b) from A = 5I - 1 and uniform p, the best iterate after the fifth
    step kept.

    start: (K, K) another A to start from.
    """
    K = len(target.c1)
    A = 5 * np.eye(K) - np.ones((K, K)) if start is None else np.asarray(start, dtype=np.float64)
    x = np.concatenate([A, np.zeros((1, K))])  # the last row is b
    m, v = np.zeros_like(x), np.zeros_like(x)
    best = (np.inf, x)
    for t in range(1, steps + 1):
        S = softmax(x, axis=1)
        loss, dT, dp = _loss_and_gradient(S[:K], S[K], target)
        if t > 5 and loss < best[0]:
            best = (loss, x.copy())
        g = np.concatenate([dT, dp[None]])
        g = S * (g - (g * S).sum(axis=1, keepdims=True))  # through the softmax
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        x = x - lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    S = softmax(best[1], axis=1)
    return TransitionFit(T=S[:K], p=S[K], loss=float(best[0]), steps=steps)


def best_naming(joint: Array) -> NDArray[np.int64]:
    """The order of the true scores under which the raters miss by least: the smallest mean of
    |true - rated|.

    joint (K, K): P(true i) T[i, j]. Nothing observed tells one naming from another; only an assumption about
    raters can. That they are right most often is another, and it fails where a rater hardly ever gives some
    score: with the matrix that the paper prints for Mistral-7B, it can take the best samples for the worst.
    """
    from scipy.optimize import linear_sum_assignment

    _, column = linear_sum_assignment(misses(joint))
    return np.asarray(np.argsort(column))


def misses(joint: Array) -> Array:
    """M[c, i]: what the mean of |true - rated| owes to the c-th true score if its name is i, (K, K)."""
    level = np.arange(len(joint))
    return np.asarray(joint @ np.abs(np.subtract.outer(level, level)))


def fit_transition(target: Consensus, solver: str) -> tuple[TransitionFit, FitSummary]:
    """T and p, with how far optima of nearly the same loss differ: within 2 % of the lowest, the moments
    cannot tell.

    Both solvers run `hoc_adam` from four fixed starts: the paper's; a sharper diagonal; two that decay with
    distance. `adam` returns the first as it is, `multistart` names every one's true scores and returns, of
    the near-equal ones, that where the rater misses by least.
    """
    K = len(target.c1)
    gap = np.abs(np.subtract.outer(np.arange(K), np.arange(K)))
    fits = [hoc_adam(target, start=A) for A in (None, 2.0 * np.eye(K), -1.5 * gap, -0.7 * gap)]
    lowest = min(f.loss for f in fits)
    near = [_named(f) for f in fits if f.loss <= 1.02 * lowest]
    kindest = min(near, key=lambda f: float(np.trace(misses(f.p[:, None] * f.T))))
    fit = kindest if solver == "multistart" else fits[0]
    spread = max(float(np.abs(f.T - fit.T).max()) for f in near)
    return fit, FitSummary(objective=fit.loss, starts=len(fits), iterations=fit.steps, spread=spread)


def _named(fit: TransitionFit) -> TransitionFit:
    order = best_naming(fit.p[:, None] * fit.T)
    return replace(fit, T=fit.T[order], p=fit.p[order])


def true_given_rated(T: Array, p: Array, rated: Array) -> Array:
    """R[i, j] = P(true i | rated j) = T[i, j] p_i / P(rated j), (K, K); zero columns where no sample is
    rated j.
    """
    safe = np.where(rated > 0, rated, 1.0)
    return np.asarray(np.where(rated > 0, T * p[:, None] / safe, 0.0))
