"""Whether evidence beside the given score (neighbours' mean score, a student, length) helps to predict
people: tried out of sample.

Symbols: anchors n with human score h_n and given score s_n, a column x of evidence.

Least squares of h on s with and without x, each anchor predicted by all others (its residual over 1 -
leverage):

    d_n = (error without x)^2 - (error with x)^2
    gain shown where mean d > z standard errors, one-sided 90 %

divided among the columns that are tried (Bonferroni). Shown ones are taken one at a time, the best first,
the rest tried again beside them. Anchors count alike here: given s, whom one asked does not bias the line,
and design weights would only add noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Array = NDArray[np.float64]

DOUBT = 0.1
"""Chance, before it is divided among what is tried, at which a gain that is none would be believed."""


@dataclass(frozen=True)
class EvidenceTest:
    """Whether a column adds to the given score, out of sample."""

    name: str
    gain: float
    """Share of the squared error that it removes from anchors it was not fitted on; negative where it
    harms.
    """
    z: float
    """That gain in standard errors."""
    shown: bool
    """False: refused."""
    slope: float
    """Points of human score for one standard deviation of the column, the given score equal."""


def try_evidence(
    scores: NDArray[np.int64], rows: NDArray[np.int64], human: Array, columns: Mapping[str, Array]
) -> tuple[list[EvidenceTest], Array]:
    """Each column tried beside the given score, the best shown one taken, the rest tried again; and the
    order, (N,).

    Anchors without a given score are left out, unrated samples are placed by the mean given score.
    """
    middle = scores[scores >= 0].mean()
    given = np.where(scores >= 0, scores, middle).astype(np.float64)
    used = scores[rows] >= 0
    rows, human = rows[used], human[used]
    bar = float(ndtri(1 - DOUBT / max(len(columns), 1)))
    standard = {name: (x - x.mean()) / x.std() for name, x in columns.items() if x.std() > 0}
    taken: list[Array] = []
    done: dict[str, EvidenceTest] = {}
    while len(done) < len(columns):
        round_of = {
            name: _try_one(name, given, taken, standard[name], rows, human, bar)
            if name in standard
            else EvidenceTest(name, 0.0, 0.0, False, 0.0)
            for name in columns
            if name not in done
        }
        best = max(round_of.values(), key=lambda test: test.z)
        if not best.shown:
            done |= round_of
            break
        done[best.name] = best
        taken.append(standard[best.name])
    order = given.copy()
    if taken:
        A = np.column_stack([np.ones(len(given)), given, *taken])
        order = A @ np.linalg.lstsq(A[rows], human, rcond=None)[0]
    return [done[name] for name in columns], np.asarray(order)


def _try_one(
    name: str, given: Array, taken: list[Array], x: Array, rows: NDArray[np.int64], human: Array, bar: float
) -> EvidenceTest:
    before = np.column_stack([np.ones(len(rows)), given[rows], *(c[rows] for c in taken)])
    after = np.column_stack([before, x[rows]])
    old, new = left_out_errors(before, human) ** 2, left_out_errors(after, human) ** 2
    d = old - new
    error = float(d.std(ddof=1) / np.sqrt(len(d)))
    z = float(d.mean()) / error if error > 0 else 0.0
    slopes = np.linalg.lstsq(after, human, rcond=None)[0]
    # A person who scores against the rater contradicts it: no column of its own making is then trusted.
    shown = z > bar and slopes[1] > 0
    return EvidenceTest(name, float(d.sum() / max(old.sum(), 1e-12)), z, bool(shown), float(slopes[-1]))


def left_out_errors(A: Array, y: Array) -> Array:
    """Error at each row of the least squares fitted on all other rows, (n,): e / (1 - leverage)."""
    inverse = np.linalg.pinv(A.T @ A)
    leverage = np.einsum("ij,jk,ik->i", A, inverse, A)
    return np.asarray((y - A @ (inverse @ (A.T @ y))) / np.maximum(1 - leverage, 1e-3))
