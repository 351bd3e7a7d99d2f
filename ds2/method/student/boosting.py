"""Gradient boosting of small trees on binned columns (scikit-learn's), cross-fitted over folds.

Each fold's fit runs on one thread of OpenMP: scikit-learn sums gradients over its threads, which rounds
them by their number. Folds run side by side instead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ds2.method.student.work import side_by_side

Array = NDArray[np.float64]

TREES = 80
LEAVES = 8
RATE = 0.1
FEWEST_IN_LEAF = 20
BINS = 64
FIT_ROWS = 100_000
"""Rows that a fold's fit reads; of more a seeded draw."""


def cross_fitted_boosting(
    X: NDArray[np.float32], y: Array, fold: NDArray[np.int64], *, seed: int = 0
) -> Array:
    """Prediction of every row from folds other than its own, (N,); rows of fold -1 (no score) by the mean
    of the fits.

    X (N, D). y (N,), read where fold >= 0. fold (N,): 0..F-1, none empty.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    unrated = np.flatnonzero(fold < 0)

    def one_fold(f: int) -> tuple[NDArray[np.int64], Array, Array]:
        rows, left_out = np.flatnonzero((fold >= 0) & (fold != f)), np.flatnonzero(fold == f)
        if len(rows) > FIT_ROWS:
            rows = np.sort(np.random.default_rng([seed, 12, f]).choice(rows, FIT_ROWS, replace=False))
        model = HistGradientBoostingRegressor(
            max_iter=TREES, max_leaf_nodes=LEAVES, learning_rate=RATE, min_samples_leaf=FEWEST_IN_LEAF,
            max_bins=BINS, early_stopping=False, random_state=seed,
        )  # fmt: skip
        with threadpool_limits(limits=1, user_api="openmp"):
            model.fit(X[rows], y[rows])
            return (
                left_out,
                model.predict(X[left_out]),
                model.predict(X[unrated]) if len(unrated) else np.zeros(0),
            )

    out = np.zeros(len(X))
    F = int(fold.max()) + 1
    for left_out, predicted, elsewhere in side_by_side(one_fold, range(F)):
        out[left_out] = predicted
        out[unrated] += elsewhere / F
    return out
