"""What people state about the truth: true scores of a few samples (anchors), or how accurate a rater is.

Symbols: K scores, T[i, j] = P(rated j | true i) of one rater, rows sum to 1; a its accuracy, C[i, j]
anchors with true score i that the rater gave j.

    a stated accuracy       T_ii = a,  T_ij ~ exp(-DECAY |i - j|) off the diagonal:
                            near scores are confused more than far ones
    anchors                 T_ij ~ C_ij + SHAPE T_ij(a),  a = (C's diagonal + K / 2) / (C + K) bounded:
                            rows with few anchors lean on a

One rater's scores alone cannot tell a noisy rater from impure neighbourhoods (`composition`); either
statement can. An accuracy alone says nothing of leniency: a rater that errs one way is better described by
its whole T or by anchors. Holding only the mean of the diagonal at a, the rest of T free, was tried: better
for the paper's matrices (by .4), worse where neighbours are impure (-.03 against the given scores), no
better on real raters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds2.base.checks import number_array, number_within
from ds2.base.errors import UserError

Array = NDArray[np.float64]
Scores = NDArray[np.int64]

DECAY = 1.2
SHAPE = 6.0
"""Anchors that the shape of T counts as in each row."""
FEWEST_ANCHORS = 20
"""Anchors below which nothing is concluded from them."""


def transition_of_accuracy(num_scores: int, accuracy: float) -> Array:
    """T of a rater that is right this often whatever the true score, (K, K)."""
    gap = np.abs(np.subtract.outer(np.arange(num_scores), np.arange(num_scores)))
    T = np.exp(-DECAY * gap)
    np.fill_diagonal(T, 0.0)
    T *= (1 - accuracy) / T.sum(axis=1, keepdims=True)
    np.fill_diagonal(T, accuracy)
    return np.asarray(T)


def transition_from_anchors(
    known: Scores, scores: Scores, num_scores: int, weight: Array | None = None
) -> Array:
    """T of a rater from anchors, (K, K). known, scores (n,): true and given score, -1 where unrated; weight
    (n,) design weights.
    """
    rated = (known >= 0) & (scores >= 0)
    mass = np.ones(len(known)) if weight is None else weight / weight[rated].mean()
    counts = np.zeros((num_scores, num_scores))
    np.add.at(counts, (known[rated], scores[rated]), mass[rated])
    right = (np.trace(counts) + 0.5) / (counts.sum() + 1)
    accuracy = float(np.clip(right, 1 / num_scores, 0.98))
    T = counts + SHAPE * transition_of_accuracy(num_scores, accuracy)
    return np.asarray(T / T.sum(axis=1, keepdims=True))


def check_anchors(anchors: Any, num_samples: int, num_scores: int) -> Scores:
    """Anchors {row: score} as (N,) int64, -1 where there is none; UserError for what cannot serve."""
    if not isinstance(anchors, Mapping):
        raise TypeError(f"anchors must be a mapping of row to score, got {type(anchors).__name__}")
    if len(anchors) < FEWEST_ANCHORS:
        raise UserError(f"anchors need at least {FEWEST_ANCHORS} scores, got {len(anchors)}")
    known = np.full(num_samples, -1, dtype=np.int64)
    for row, score in anchors.items():
        for name, value in (("row", row), ("score", score)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise TypeError(f"anchors must map whole rows to whole scores, got the {name} {value!r}")
        if not 0 <= row < num_samples:
            raise UserError(f"anchors name row {row}, outside 0..{num_samples - 1}")
        if not 0 <= score < num_scores:
            raise UserError(f"the anchor of row {row} is {score}, outside 0..{num_scores - 1}")
        known[row] = score
    answers = np.unique(known[known >= 0])
    if len(answers) == 1:
        raise UserError(f"every anchor has the score {answers[0]}: nothing can be told from them")
    return known


def check_stated(
    rater_accuracy: Any, transition: ArrayLike | None, num_scores: int, raters: int
) -> Array | None:
    """A stated accuracy (one, or one a rater) or matrix (K, K) or (R, K, K) as (R, K, K); None where
    neither was stated.
    """
    if rater_accuracy is None and transition is None:
        return None
    if rater_accuracy is not None and transition is not None:
        raise UserError("state rater_accuracy or the whole transition, not both")
    if transition is None:
        each = np.atleast_1d(number_array("rater_accuracy", rater_accuracy)).tolist()
        each = each * raters if len(each) == 1 else each
        if len(each) != raters:
            raise UserError(f"{len(each)} accuracies for {raters} raters")
        right = [number_within("rater_accuracy", a, 1 / num_scores, 0.99) for a in each]
        return np.stack([transition_of_accuracy(num_scores, a) for a in right])
    T = number_array("transition", transition).astype(np.float64)
    T = np.repeat(T[None], raters, axis=0) if T.ndim == 2 else T
    if T.shape != (raters, num_scores, num_scores):
        raise UserError(
            f"transition must be ({num_scores}, {num_scores}), or one such a rater, got shape {T.shape}"
        )
    if not ((T >= 0).all() and np.allclose(T.sum(axis=2), 1, atol=1e-6)):
        raise UserError("transition must hold shares of at least 0 whose rows sum to 1")
    T = np.maximum(T, 1e-4)  # what a person calls impossible may still occur once
    return np.asarray(T / T.sum(axis=2, keepdims=True))
