"""One likelihood for rater, prior and neighbourhoods: the model that `posterior` fits.

Symbols: N samples, K true scores i, R raters, B bins of distance; s_nr the score of sample n by rater r.

    T_r[i, j] = P(rater r says j | true i)          (R, K, K), rows sum to 1
    p[i]      = P(true i) away from any neighbourhood's main score

Every neighbourhood has a main score i and a purity beta, both unknown: P(i, beta) = q[i] w[beta] on a fixed
grid of purities. A sample has its neighbourhood's main score with probability beta, otherwise a score drawn
from p; a neighbour in bin b is of the same neighbourhood with probability c[b]:

    theta_{i,beta,0}(y) = beta [y = i] + (1 - beta) p(y)                      the sample's own true score
    theta_{i,beta,b}(y) = beta c_b [y = i] + (1 - beta c_b) p(y)              a neighbour's, in bin b
    P(n's data | i, beta) = sum_y theta_0(y) prod_r T_r[y, s_nr]
                            * prod over neighbours m, raters r of (theta_b T_r)[s_mr]

beta = 1 throughout is the paper's clusterability; beta = 0 makes neighbours worthless. EM raises the
penalised likelihood

    mean_n log P(n's data)  -  lambda (scores seen per sample) sum_r sum_ij P(i) T_r[i, j] d_ij

with d_ij = max(|i - j| - 1, 0)^2 / (K - 1)^2. The penalty is the order of the scores: far confusions are
rarer than near ones, and near ones are free. It is weak, and decides what the likelihood leaves open:
(beta, T) and (beta / a, a T + (1 - a) 1 m') fit equally well, one blaming neighbourhoods, one the rater.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds2.method.curation.evidence import Evidence

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]

PURITIES: Array = np.array([1.0, 0.9, 0.75, 0.5, 0.25, 0.0])
ORDER_WEIGHT = 0.06
"""lambda."""
_TINY = 1e-12


@dataclass(frozen=True)
class Composition:
    """Parameters of the model."""

    T: Array
    """(R, K, K)."""
    p: Array
    """(K,)."""
    q: Array
    """(K,)."""
    w: Array
    """(number of purities,)."""
    c: Array
    """(B,)."""

    @property
    def neighbor_worth(self) -> float:
        """Mean over neighbourhoods and bins of beta c: 0 worthless, 1 all share the sample's main score."""
        return float((self.w @ PURITIES) * self.c.mean())


@dataclass(frozen=True)
class Expectation:
    """One E-step. `weights` (n, G): P(i, beta | data); `given_likelihood` (n, G): P(n's given scores |
    i, beta); `loglik` (n,).
    """

    weights: Array32
    given_likelihood: Array32
    loglik: Array


def start_from(T: Array, num_bins: int) -> Composition:
    """Parameters around given matrices (R, K, K): uniform p, q, w and neighbours of high worth."""
    K = T.shape[1]
    flat = np.full(K, 1 / K)
    return Composition(
        T=T, p=flat, q=flat.copy(), w=np.full(len(PURITIES), 1 / len(PURITIES)), c=np.full(num_bins, 0.9)
    )


def compositions(model: Composition) -> Array:
    """theta, (1 + B, G, K), G = purities x main scores (purity-major)."""
    K = len(model.p)
    share = np.concatenate([PURITIES[None], PURITIES * model.c[:, None]])[..., None, None]
    return np.asarray((share * np.eye(K) + (1 - share) * model.p).reshape(len(share), -1, K))


def own_likelihood(
    model: Composition, scores: NDArray[np.int64], known: NDArray[np.int64] | None = None
) -> Array32:
    """prod_r T_r[y, s_nr], (n, K) float32; unrated scores contribute 1. Where y is known, (n,), the rest of
    the row is 0.
    """
    out = np.ones((len(scores), len(model.p)), dtype=np.float32)
    for r, T in enumerate(model.T):
        columns = np.concatenate([T.T, np.ones((1, T.shape[0]))]).astype(np.float32)  # the last row serves -1
        out *= columns[scores[:, r]]
    if known is not None:
        told = known >= 0
        out[told] *= np.eye(len(model.p), dtype=np.float32)[known[told]]
    return out


def neighbor_loglik(model: Composition, evidence: Evidence, theta: Array) -> Array32:
    """log q w + log P(neighbours' scores | i, beta), (n, G) float32."""
    rated = np.stack([theta[1:] @ T for T in model.T])  # (R, B, G, K)
    logs = np.log(rated + _TINY).transpose(0, 1, 3, 2).reshape(-1, theta.shape[1])
    prior = np.log((model.w[:, None] * model.q).ravel() + 1e-30)
    return np.asarray(evidence.counts @ logs.astype(np.float32) + prior.astype(np.float32))


def expect(model: Composition, evidence: Evidence) -> Expectation:
    """Responsibilities of all (main score, purity) pairs."""
    theta = compositions(model)
    likelihood = own_likelihood(model, evidence.scores, evidence.known) @ theta[0].T.astype(np.float32)
    likelihood += np.float32(_TINY)
    weights = neighbor_loglik(model, evidence, theta)
    weights += np.log(likelihood)
    top = weights.max(axis=1, keepdims=True)
    weights -= top
    np.exp(weights, out=weights)
    total = weights.sum(axis=1, keepdims=True)
    weights /= total
    return Expectation(weights, likelihood, (np.log(total) + top)[:, 0].astype(np.float64))


def maximise(
    model: Composition, evidence: Evidence, e: Expectation, mass: Array32 | None, order_weight: float
) -> Composition:
    """M-step. mass: (n,) weight of each row (bootstrap), or None for one each."""
    K, B = len(model.p), evidence.num_bins
    theta = compositions(model)
    weights = e.weights if mass is None else e.weights * mass[:, None]
    by_purity = weights.sum(axis=0, dtype=np.float64).reshape(-1, K)
    w = by_purity.sum(axis=1)
    q = by_purity.sum(axis=0) + 1.0
    # Own scores: P(true y of n), and the part of it that came from p rather than from the main score.
    ratio = weights / e.given_likelihood
    likelihood = own_likelihood(model, evidence.scores, evidence.known)
    truth = likelihood * (ratio @ theta[0].astype(np.float32))
    background = np.repeat(1 - PURITIES, K)
    p = model.p * (likelihood.T @ (ratio @ background.astype(np.float32))) + 1.0
    # Neighbours: Q = expected count / probability of each (bin, pair, score).
    counts = (weights.T @ evidence.counts).astype(np.float64).reshape(-1, evidence.num_raters, B, K)
    inherit = np.zeros((B, theta.shape[1]))
    T = np.empty_like(model.T)
    shares = PURITIES * model.c[:, None]  # (B, purities)
    for r, before in enumerate(model.T):
        C = counts[:, r].transpose(1, 0, 2)  # (B, G, K)
        Q = C / (theta[1:] @ before + _TINY)
        T[r] = before * np.einsum("bgy,bgj->yj", theta[1:], Q)
        seen = evidence.scores[:, r]
        for j in range(K):
            T[r, :, j] += truth[seen == j].sum(axis=0, dtype=np.float64)
        lone = np.repeat(1 - shares, K, axis=1)  # (B, G)
        p += model.p * (before @ np.einsum("bg,bgj->j", lone, Q))
        inherit += np.repeat(shares, K, axis=1) * (np.tile(before, (len(PURITIES), 1)) * Q).sum(axis=2)
        T[r] = _rows_under_order(T[r] + 1.0, order_weight)
    # c: of the neighbours that did not inherit the main score, some were of the neighbourhood but impure.
    left = counts.sum(axis=(1, 3)).T - inherit
    beta = np.repeat(PURITIES, K)
    of_it = model.c[:, None] * (1 - beta) / (1 - beta * model.c[:, None] + 1e-9)
    c = (inherit + left * of_it).sum(axis=1) / (counts.sum(axis=(0, 1, 3)) + 1e-9)
    return Composition(T, p / p.sum(), q / q.sum(), w / w.sum(), np.clip(c, 1e-3, 0.999))


def order_distance(K: int) -> Array:
    """d[i, j] = max(|i - j| - 1, 0)^2 / (K - 1)^2, (K, K): confusing a score with its neighbour costs
    nothing.
    """
    gap = np.abs(np.subtract.outer(np.arange(K), np.arange(K)))
    return np.asarray((np.maximum(gap - 1, 0) / (K - 1)) ** 2)


def _rows_under_order(counts: Array, order_weight: float) -> Array:
    """Rows T_i maximising sum_j counts_ij log T_ij - lambda n_i sum_j d_ij T_ij on the simplex.

    Setting the gradient to zero gives T_ij = f_ij / (mu_i + lambda d_ij), f the row's frequencies; mu_i, in
    (0, 1], makes the row sum to 1 and is found by bisection.
    """
    K = len(counts)
    f = counts / counts.sum(axis=1, keepdims=True)
    d = order_weight * order_distance(K)
    low, high = np.zeros((K, 1)), np.ones((K, 1))
    for _ in range(40):
        middle = (low + high) / 2
        above = (f / (middle + d + _TINY)).sum(axis=1, keepdims=True) > 1
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    T = f / (high + d)
    return np.asarray(T / T.sum(axis=1, keepdims=True))


def penalised(
    model: Composition, evidence: Evidence, e: Expectation, mass: Array32 | None, order_weight: float
) -> float:
    """The objective: mean log-likelihood minus the order penalty, which counts every score seen, own and
    neighbours'.

    mass: as in `maximise`; both must weigh rows alike, or what the one raises the other sees fall.
    """
    K = len(model.p)
    seen = (evidence.counts.sum(axis=1) + (evidence.scores >= 0).sum(axis=1)) / evidence.num_raters
    misses = np.einsum("i,rij,ij->", true_share(model), model.T, order_distance(K))
    return float(np.average(e.loglik - order_weight * misses * seen, weights=mass))


def true_share(model: Composition) -> Array:
    """P(true i) over the pool, (K,): the mean composition."""
    mean_purity = float(model.w @ PURITIES)
    return np.asarray(mean_purity * model.q + (1 - mean_purity) * model.p)


def run_em(
    model: Composition,
    evidence: Evidence,
    *,
    steps: int,
    tolerance: float = 0.0,
    mass: Array32 | None = None,
    order_weight: float = ORDER_WEIGHT,
    held: bool = False,
) -> tuple[Composition, float, int]:
    """EM for at most `steps` steps, or until a step gains less than `tolerance` per sample: model,
    objective, steps.

    held: T stays as given; then the order penalty, whose subject is T, should be 0.
    """
    last = -np.inf
    for step in range(steps):
        e = expect(model, evidence)
        value = penalised(model, evidence, e, mass, order_weight)
        if value - last < tolerance:
            return model, value, step
        last = value
        raised = maximise(model, evidence, e, mass, order_weight)
        model = replace(raised, T=model.T) if held else raised
    return model, penalised(model, evidence, expect(model, evidence), mass, order_weight), steps


def local_prior(model: Composition, evidence: Evidence) -> Array:
    """P(y_n | neighbours' scores), (n, K): the expected composition around each sample, its own scores
    unseen.
    """
    theta = compositions(model)
    weights = neighbor_loglik(model, evidence, theta)
    weights -= weights.max(axis=1, keepdims=True)
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray((weights @ theta[0].astype(np.float32)).astype(np.float64))


def reorder(model: Composition, order: NDArray[np.int64]) -> Composition:
    """The same model with its true scores renamed."""
    return replace(model, T=model.T[:, order], p=model.p[order], q=model.q[order])
