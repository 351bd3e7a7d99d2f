"""Ridge regression cross-fitted over folds from one Gram matrix, the folds subtracted.

Columns X (n, D), target y (n,), folds F. With G_f = X_f' X_f, c_f = X_f' y_f and the like summed once for
each fold, a fit that leaves out a set S of folds is, with sums over the rest and means m, mu removed,

    w = (G - n m m' + a I)^-1 (c - n mu m),    b = mu - m' w

and its squared error on a fold, without a look at its rows, is

    yy - 2 (w' c_f + b s_f) + w' G_f w + 2 b w' t_f + b^2 n_f

The penalty a of a fold's fit is the one with the least such error over the other folds, each predicted from
the rest: nested, so no score has a say in its own prediction. One pass over the rows, then matrices of D x D
only.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds2.base.threads import one_blas_thread
from ds2.method.student.work import side_by_side

Array = NDArray[np.float64]

PENALTIES = 10.0 ** np.arange(-4.0, 2.01, 0.5)
"""Tried values of a, in units of the columns' mean variance times n."""
_BLOCK = 8192


@dataclass(frozen=True)
class _Sums:
    """Sums over rows: n, of y, of y^2, of x (D,), of x y (D,), of x x' (D, D)."""

    n: float
    y: float
    yy: float
    x: Array
    xy: Array
    xx: Array

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(*(getattr(self, f) + getattr(other, f) for f in _FIELDS))

    def __sub__(self, other: _Sums) -> _Sums:
        return _Sums(*(getattr(self, f) - getattr(other, f) for f in _FIELDS))


_FIELDS = ("n", "y", "yy", "x", "xy", "xx")


@one_blas_thread()
def cross_fitted_ridge(X: NDArray[np.float32], y: Array, fold: NDArray[np.int64]) -> Array:
    """Prediction of every row from folds other than its own, (N,); rows of fold -1 (no score) by the mean
    of the fits.

    X (N, D). y (N,), read where fold >= 0. fold (N,): 0..F-1 with F >= 3 and none empty.
    """
    F = int(fold.max()) + 1
    sums = side_by_side(lambda f: _sum_rows(X, y, np.flatnonzero(fold == f)), range(F))
    total = sums[0]
    for s in sums[1:]:
        total = total + s
    error = np.zeros((F, len(PENALTIES)))  # of the fit without this fold, over the other folds
    pairs = list(itertools.combinations(range(F), 2))
    for (f, g), (on_f, on_g) in zip(
        pairs, side_by_side(lambda p: _pair_errors(total, sums[p[0]], sums[p[1]]), pairs), strict=True
    ):
        error[f] += on_g
        error[g] += on_f
    fits = side_by_side(lambda f: _fits(total - sums[f])[int(error[f].argmin())], range(F))
    w, b = np.stack([w for w, _ in fits], axis=1), np.array([b for _, b in fits])
    out = np.empty(len(X))
    for start in range(0, len(X), _BLOCK):
        rows = slice(start, start + _BLOCK)
        each = X[rows].astype(np.float64) @ w + b
        fold_of = fold[rows]
        out[rows] = np.where(
            fold_of >= 0, each[np.arange(len(fold_of)), np.maximum(fold_of, 0)], each.mean(axis=1)
        )
    return out


def _sum_rows(X: NDArray[np.float32], y: Array, rows: NDArray[np.int64]) -> _Sums:
    D = X.shape[1]
    x_sum, xy, xx = np.zeros(D), np.zeros(D), np.zeros((D, D))
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        x = X[block].astype(np.float64)
        x_sum += x.sum(axis=0)
        xy += x.T @ y[block]
        xx += x.T @ x
    return _Sums(float(len(rows)), float(y[rows].sum()), float((y[rows] ** 2).sum()), x_sum, xy, xx)


def _fits(s: _Sums) -> list[tuple[Array, float]]:
    """(w, b) for each of PENALTIES."""
    m, mu = s.x / s.n, s.y / s.n
    value, turn = np.linalg.eigh(s.xx - s.n * np.outer(m, m))
    unit = max(float(value.sum()) / len(value), 1e-12)
    along = turn.T @ (s.xy - s.n * mu * m)
    ws = [turn @ (along / (np.maximum(value, 0) + a * unit)) for a in PENALTIES]
    return [(w, mu - float(m @ w)) for w in ws]


def _pair_errors(total: _Sums, f: _Sums, g: _Sums) -> tuple[Array, Array]:
    """Squared errors on f and on g, (penalties,) each, of the fits that leave out both."""
    fits = _fits(total - f - g)
    on_f, on_g = (np.array([_squared_error(part, w, b) for w, b in fits]) for part in (f, g))
    return on_f, on_g


def _squared_error(s: _Sums, w: Array, b: float) -> float:
    return float(s.yy - 2 * (w @ s.xy + b * s.y) + w @ s.xx @ w + 2 * b * (w @ s.x) + b * b * s.n)
