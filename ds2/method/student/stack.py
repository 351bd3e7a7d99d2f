"""Members to one student: non-negative least squares of the scores on the members' out-of-fold predictions.

    R^2 = 1 - sum (y - f)^2 / sum (y - y0)^2        y0 the mean of the other folds' scores

Its 95 % interval is by the delta method over groups of near-duplicates: R^2 +- t sd(sum_g [d^2 - e^2 - R^2
d^2]) / sum d^2. A member whose interval reaches zero predicts nothing that could be shown, and is refused;
so is the stack, whose own R^2 takes each fold's weights from the other folds. Weights may sum to less than
one: then the student shrinks to the mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Member:
    """One member of the stack, or the stack."""

    name: str
    weight: float
    """In the student: 0 where refused or not needed."""
    r2: float
    """Out-of-fold R^2."""
    r2_low: float
    r2_high: float
    refused: bool
    """True where the interval reaches zero."""


@dataclass(frozen=True)
class Stack:
    predicted: Array
    """(N,)."""
    members: list[Member]
    whole: Member


def stack_members(
    columns: dict[str, Array], scores: Array, fold: NDArray[np.int64], groups: NDArray[np.int64]
) -> Stack:
    """The student of these members. columns: name -> (N,) out-of-fold predictions. fold (N,), -1 where
    unrated; groups (N,).
    """
    rated = fold >= 0
    y, fold_of, group = scores[rated], fold[rated], groups[rated]
    base = fold_means(y, fold_of)
    scored = {name: r_squared(y, c[rated], base, group) for name, c in columns.items()}
    kept = [name for name, (_, low, _) in scored.items() if low > 0]
    mean = float(y.mean())
    weights = dict.fromkeys(columns, 0.0)
    predicted, crossed = np.full(len(scores), mean), base.copy()
    if kept:
        around = np.stack([columns[name] - mean for name in kept], axis=1)
        slopes = _weights(around[rated], y - mean)
        weights |= dict(zip(kept, map(float, slopes), strict=True))
        predicted = mean + around @ slopes
        for f in range(int(fold_of.max()) + 1):
            out = fold_of == f
            crossed[out] = base[out] + around[rated][out] @ _weights(around[rated][~out], y[~out] - mean)
    r2, low, high = r_squared(y, crossed, base, group) if kept else (0.0, 0.0, 0.0)
    members = [Member(n, weights[n], *scored[n], refused=n not in kept) for n in columns]
    whole = Member("student", float(sum(weights.values())), r2, low, high, refused=not low > 0)
    if whole.refused:
        predicted = np.full(len(scores), mean)
    return Stack(predicted, members, whole)


def _weights(x: Array, y: Array) -> Array:
    """Non-negative least squares through the normal equations' Cholesky factor: as small as the number of
    members.
    """
    from scipy.optimize import nnls

    gram = x.T @ x
    factor = np.linalg.cholesky(gram + 1e-9 * np.trace(gram) * np.eye(len(gram)) / len(gram)).T
    return np.asarray(nnls(factor, np.linalg.solve(factor.T, x.T @ y))[0])


def fold_means(y: Array, fold: NDArray[np.int64]) -> Array:
    """Mean score of the folds other than a row's own, (n,)."""
    total, count = np.bincount(fold, weights=y), np.bincount(fold)
    return np.asarray(((y.sum() - total) / np.maximum(len(y) - count, 1))[fold])


def r_squared(
    y: Array, predicted: Array, base: Array, groups: NDArray[np.int64]
) -> tuple[float, float, float]:
    """R^2 and its 95 % interval; (0, 0, 0) where the scores do not vary."""
    d2, e2 = (y - base) ** 2, (y - predicted) ** 2
    if d2.sum() <= 1e-12:
        return 0.0, 0.0, 0.0
    r2 = 1 - float(e2.sum() / d2.sum())
    _, group = np.unique(groups, return_inverse=True)
    part = np.bincount(group, weights=d2 - e2 - r2 * d2)
    G = len(part)
    if G < 3:
        return r2, -np.inf, np.inf
    half = float(stdtrit(G - 1, 0.975) * np.sqrt(G / (G - 1) * (part**2).sum())) / float(d2.sum())
    return r2, r2 - half, r2 + half
