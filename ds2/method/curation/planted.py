"""Pools with a known answer: every claim about curation is tested on these.

A planted pool is a set of clusters on the sphere. Each cluster has a main true score, drawn from the prior
p; a sample has its cluster's main score with probability `purity`, otherwise one drawn from p. With x_n the
embedding and s_n the score,

    x_n = unit(center of n's cluster + spread * g / sqrt(d)),  g ~ N(0, I)        s_n ~ T[y_n, .]

`purity` 1 is the clusterability assumption of the paper held exactly; 0 makes neighbours useless.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds2.base.checks import number_array, number_within, whole_number
from ds2.base.errors import UserError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PlantedPool:
    """Embeddings (N, d) unit rows, true scores (N,), given scores (N,) or (N, R), matrices (R, K, K), prior
    (K,).
    """

    embeddings: NDArray[np.float32]
    true_scores: NDArray[np.int64]
    scores: NDArray[np.int64]
    transitions: Array
    prior: Array


def ordinal_transition(
    num_scores: int, *, accuracy: float = 0.6, decay: float = 1.2, bias: float = 0.0
) -> Array:
    """A rater that confuses near scores more than far ones, (K, K).

    accuracy: the diagonal. Off it, mass falls as exp(-decay |i - j|), tilted by `bias` towards higher
    ratings (lower where negative).
    """
    gap = np.subtract.outer(np.arange(num_scores), np.arange(num_scores)) * -1.0
    T = np.exp(-decay * np.abs(gap) + bias * np.sign(gap))
    np.fill_diagonal(T, 0.0)
    T *= (1 - accuracy) / T.sum(axis=1, keepdims=True)
    np.fill_diagonal(T, accuracy)
    return np.asarray(T)


def plant_pool(
    num_samples: int = 3000,
    *,
    transitions: ArrayLike | Sequence[ArrayLike],
    prior: ArrayLike | None = None,
    dimensions: int = 48,
    cluster_size: int = 20,
    purity: float = 1.0,
    spread: float = 0.5,
    unrated: float = 0.0,
    seed: int = 0,
) -> PlantedPool:
    """Draw a planted pool.

    transitions: one (K, K) matrix, or R of them for R raters that err independently given the truth; rows
    are renormalised.
    prior: (K,), uniform where left out. cluster_size: samples a cluster (equal up to one). purity: share of
    a cluster's samples that hold its main score for certain. spread: noise of an embedding relative to its
    center. unrated: share of scores lost (-1).
    """
    for name, count in (
        ("num_samples", num_samples),
        ("dimensions", dimensions),
        ("cluster_size", cluster_size),
    ):
        whole_number(name, count, 1)
    number_within("purity", purity, 0, 1)
    number_within("unrated", unrated, 0, 1)
    number_within("spread", spread, 0, 1e6)
    T = number_array("transitions", transitions).astype(np.float64)
    single = T.ndim == 2
    T = T[None] if single else T
    if T.ndim != 3 or T.shape[1] != T.shape[2]:
        raise UserError(f"transitions must be (K, K) or (R, K, K), got shape {T.shape}")
    T = _shares("transitions", T)
    K = T.shape[1]
    p = np.full(K, 1 / K) if prior is None else number_array("prior", prior).astype(np.float64)
    if p.shape != (K,):
        raise UserError(f"prior must hold {K} shares, one a true score, got shape {p.shape}")
    p = _shares("prior", p)
    rng = np.random.default_rng(whole_number("seed", seed, 0))
    clusters = max(1, round(num_samples / cluster_size))
    member = rng.permutation(num_samples) % clusters
    main = rng.choice(K, clusters, p=p)
    stray = rng.random(num_samples) >= purity
    y = np.where(stray, rng.choice(K, num_samples, p=p), main[member])
    x = rng.normal(size=(clusters, dimensions))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x = x[member] + spread * rng.normal(size=(num_samples, dimensions)) / np.sqrt(dimensions)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    u = rng.random((num_samples, len(T), 1))
    s = (u > np.cumsum(T, axis=2).transpose(1, 0, 2)[y]).sum(axis=2).clip(0, K - 1)
    s[rng.random(s.shape) < unrated] = -1
    return PlantedPool(x.astype(np.float32), y, s[:, 0] if single else s, T, p)


def _shares(name: str, weights: Array) -> Array:
    """`weights`, rows scaled to sum to 1."""
    total = weights.sum(axis=-1, keepdims=True)
    if not ((weights >= 0).all() and (total > 0).all() and np.isfinite(total).all()):
        raise UserError(f"{name} must be finite shares, none negative, with a sum above 0 in every row")
    return np.asarray(weights / total)
