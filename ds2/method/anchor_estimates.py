"""Estimates from a weighted draw, with intervals.

Symbols: anchors n with value h_n, design weight w_n = 1 / pi_n and share m_n in [0, 1] of the selection
that is judged.

    mean of the selection      mu = sum w m h / sum w m
    its variance               sum (1 - pi) (w m (h - mu))^2 f / (sum w m)^2,
                               f = k / (k - 1), k anchors with m > 0

Intervals of means are Student's with (sum w m)^2 / sum (w m)^2 - 1 degrees of freedom; shares have Wilson's
at the effective number of anchors, (sum w)^2 / sum w^2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float | None
    """None where too few anchors tell."""
    high: float | None

    def on_scale(self, low: float, high: float) -> Estimate:
        """The same of scores that begin at `low`, its ends kept on the scale."""
        ends = (None if end is None else min(max(end + low, low), high) for end in (self.low, self.high))
        return Estimate(self.value + low, *ends)

    def words(self, write: Callable[[float], str] = "{:.2f}".format) -> str:
        """`3.41 (3.20 to 3.62)`; the value alone without an interval."""
        if self.low is None or self.high is None:
            return write(self.value)
        return f"{write(self.value)} ({write(self.low)} to {write(self.high)})"


@dataclass(frozen=True, eq=False)
class Mean:
    """mu with what its interval is made of: `terms` (n,), each anchor's share of the error, and degrees of
    `freedom`. A difference of two means has the differences of their terms.
    """

    value: float
    terms: Array
    freedom: float

    def less(self, other: Mean) -> Mean:
        """This mean less another of the same anchors: what both select cancels."""
        return Mean(self.value - other.value, self.terms - other.terms, min(self.freedom, other.freedom))

    @property
    def error(self) -> float:
        """Standard error."""
        return float(np.sqrt((self.terms**2).sum()))

    def bound(self, doubt: float) -> float:
        """What the value is above but for a chance of `doubt`; minus infinity where too few anchors tell."""
        if self.freedom < 1:
            return -np.inf
        return self.value - float(stdtrit(self.freedom, 1 - doubt)) * self.error

    def estimate(self) -> Estimate:
        """With its 95 % interval."""
        if self.freedom < 1:
            return Estimate(self.value, None, None)
        half = float(stdtrit(self.freedom, 0.975)) * self.error
        return Estimate(self.value, self.value - half, self.value + half)


def weighted_mean(members: Array, values: Array, weight: Array) -> Mean | None:
    """Mean of `values` (n,) over the selection that holds the share `members` (n,) of each anchor; None
    where it holds none of them.
    """
    mass = weight * members
    total = mass.sum()
    if total <= 0:
        return None
    mu = float((mass * values).sum() / total)
    counted = int((mass > 0).sum())
    spread = np.sqrt(np.clip(1 - 1 / weight, 0, 1)) if (weight > 1).any() else 1.0
    terms = spread * mass * (values - mu) / total * np.sqrt(counted / max(counted - 1, 1))
    return Mean(mu, terms, float(total**2 / (mass**2).sum()) - 1)


def weighted_share(yes: NDArray[np.bool_], weight: Array) -> Estimate:
    """Share of `yes` (n,) with Wilson's 95 % interval (Wilson, JASA 22, 1927)."""
    share = float(weight[yes].sum() / weight.sum())
    size = float(weight.sum() ** 2 / (weight**2).sum())
    z2 = 1.96**2
    center = (share + z2 / (2 * size)) / (1 + z2 / size)
    half = 1.96 * np.sqrt(share * (1 - share) / size + z2 / (4 * size**2)) / (1 + z2 / size)
    return Estimate(share, max(float(center - half), 0.0), min(float(center + half), 1.0))
