"""Whether evidence beside an order (neighbours' mean score, a student, length) helps to predict people:
tried out of sample.

Symbols: anchors n with human score h_n and value b_n of the order at hand, a column x of evidence.

Least squares of h on b with and without x, each anchor predicted by all others (its residual over 1 -
leverage):

    d_n = (error without x)^2 - (error with x)^2
    gain shown where mean d > z standard errors, one-sided 90 %

divided among the columns that are tried (Bonferroni). Shown ones are taken one at a time, the best first,
the rest tried again beside them. What they then move is drawn back by 1 / z^2, z of all of them together
(James and Stein's factor: what barely passed was also lucky):

    expected_n = line(b_n) + (1 - 1 / z^2) (line(b_n, x_n) - line(b_n))

Anchors count alike here: given b, whom one asked does not bias the line,
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
    """Whether a column adds to the order at hand, out of sample."""

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
    """Points of human score for one standard deviation of the column, the rest equal."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What was tried, and people's scores as the shown part of it predicts them."""

    tests: list[EvidenceTest]
    expected: Array
    """(N,) expected human score by the order and the columns shown."""
    slope: float
    """Points of human score for one point of the order alone."""
    gain: float
    """Share of the squared error that the columns shown remove together, out of sample; 0 without any."""

    @property
    def shown(self) -> list[str]:
        """Names of the columns that add."""
        return [test.name for test in self.tests if test.shown]


def try_evidence(
    base: Array, rows: NDArray[np.int64], human: Array, columns: Mapping[str, Array]
) -> Evidence:
    """Each column tried beside `base`, the best shown one taken, the rest tried again.

    base (N,) values of an order; rows (n,) the anchors; human (n,) their scores; columns: name -> (N,).
    """
    bar = float(ndtri(1 - DOUBT / max(len(columns), 1)))
    standard = {name: (x - x.mean()) / x.std() for name, x in columns.items() if x.std() > 0}
    taken: list[Array] = []
    done: dict[str, EvidenceTest] = {}
    while len(done) < len(columns):
        round_of = {
            name: _try_one(name, base, taken, standard[name], rows, human, bar)
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
    tests = [done[name] for name in columns]
    alone, slopes = _line(base, [], rows, human)
    slope = float(slopes[1])
    if not taken:
        return Evidence(tests, alone, slope, 0.0)
    gain, z = compare_errors(_errors(base, [], rows, human), _errors(base, taken, rows, human))
    together, _ = _line(base, taken, rows, human)
    return Evidence(tests, alone + max(0.0, 1 - 1 / z**2) * (together - alone), slope, gain)


def _try_one(
    name: str, base: Array, taken: list[Array], x: Array, rows: NDArray[np.int64], human: Array, bar: float
) -> EvidenceTest:
    gain, z = compare_errors(_errors(base, taken, rows, human), _errors(base, [*taken, x], rows, human))
    slopes = _line(base, [*taken, x], rows, human)[1]
    # A person who scores against the rater contradicts it: no column of its own making is then trusted.
    return EvidenceTest(name, gain, z, bool(z > bar and slopes[1] > 0), float(slopes[-1]))


def _line(base: Array, taken: list[Array], rows: NDArray[np.int64], human: Array) -> tuple[Array, Array]:
    """Least squares of the anchors' scores on the order and the columns: all samples' values, and slopes."""
    A = np.column_stack([np.ones(len(base)), base, *taken])
    slopes = np.linalg.lstsq(A[rows], human, rcond=None)[0]
    return np.asarray(A @ slopes), np.asarray(slopes)


def _errors(base: Array, taken: list[Array], rows: NDArray[np.int64], human: Array) -> Array:
    """Squared error of each anchor by the line fitted on the others, (n,)."""
    A = np.column_stack([np.ones(len(rows)), base[rows], *(column[rows] for column in taken)])
    return left_out_errors(A, human) ** 2


def compare_errors(old: Array, new: Array) -> tuple[float, float]:
    """Share of the squared errors `old` (n,) that `new` removes, and that difference in standard errors."""
    d = old - new
    error = float(d.std(ddof=1) / np.sqrt(len(d)))
    return float(d.sum() / max(old.sum(), 1e-12)), float(d.mean()) / error if error > 0 else 0.0


def left_out_errors(A: Array, y: Array) -> Array:
    """Error at each row of the least squares fitted on all other rows, (n,): e / (1 - leverage)."""
    inverse = np.linalg.pinv(A.T @ A)
    leverage = np.einsum("ij,jk,ik->i", A, inverse, A)
    return np.asarray((y - A @ inverse @ (A.T @ y)) / np.maximum(1 - leverage, 1e-9))
