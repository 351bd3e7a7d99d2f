"""What a panel of raters is worth, and what each of its raters adds.

Symbols: R raters; s_r a rater's score, E_r(theta) its mean given the factor theta (`factor`), g(theta) the
density of theta.

    eta_r^2  = Var E_r(theta) / Var s_r          share of a rater's variance that is the common quality
    v_r^2    = eta_r^2 / (1 - eta_r^2)           information: signal over noise, the coarseness of its
                                                 scale included
    rho_rt   = (Cov(s_r, s_t) - Cov(E_r, E_t)) / (sd of the two raters' noise)
                                                 residual correlation, on shared rows

The panel's score weighs raters as if their errors were independent. Its information, with the errors as
they are, is that of the weighted sum of the raters, and its reliability the squared correlation of that sum
with the quality:

    J(S) = (sum_S v_r^2)^2 / sum_S,S v_r rho_rt v_t            reliability(S) = J / (1 + J)
    independent raters = J (sum v_r^2) / (sum v_r^4)           R for R equal raters with independent errors

The last is the design effect, R / (1 + (R - 1) rho) for equal raters, times a participation ratio, so that
useless raters do not count. Errors that *all* raters share are part of theta and cannot be seen here: two
or three raters show no residual correlation at all, and of two twins among many much of what they share
passes for quality (`twins` looks for them by Spearman's tetrads, which vanish under one factor). Only
people's scores can tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds2.method.factor import FIT_NODES, Factor, grid, indicators, level_table, posterior_of

Array = NDArray[np.float64]

FEWEST_SHARED = 10
"""Rows that two raters must both have scored before anything is said about the two."""
WORTH = 0.005
"""Loss of reliability up to which a rater, or several together, are said to add nothing."""


TWINS = 0.15
"""Excess of two raters' correlation over what the others imply from which the two are called twins."""


@dataclass(frozen=True)
class Moments:
    """`eta` (R,); `residuals` (R, R) rho, 1 on the diagonal, NaN for pairs that share too few rows;
    `expected` (R,) E s_r.
    """

    eta: Array
    residuals: Array
    expected: Array

    @property
    def information(self) -> Array:
        """v^2, (R,)."""
        return np.asarray(self.eta**2 / np.maximum(1 - self.eta**2, 1e-6))


def panel_moments(model: Factor, codes: NDArray[np.int64], weight: Array, levels: list[Array]) -> Moments:
    """The head's eta and rho. codes (P, R) and weight (P,) as in `fit_factor`; levels: the score behind
    each rater's codes.
    """
    theta, prior = grid(FIT_NODES)
    tables = [level_table(a, c, theta) for a, c in zip(model.slopes, model.cuts, strict=True)]
    mean = np.stack([lv @ t for lv, t in zip(levels, tables, strict=True)])  # E_r(theta_q), (R, Q)
    square = np.stack([lv**2 @ t for lv, t in zip(levels, tables, strict=True)])
    noise = (square - mean**2) @ prior
    signal = np.maximum(mean**2 @ prior - (mean @ prior) ** 2, 0)
    seen = indicators(codes, [len(lv) for lv in levels])
    posterior, _ = posterior_of(seen, np.concatenate(tables), prior)
    score = np.stack([lv[codes[:, r]] for r, lv in enumerate(levels)], axis=1).astype(float)
    rho = np.eye(len(levels))
    for r in range(len(levels)):
        for t in range(r):
            both = np.where((codes[:, r] >= 0) & (codes[:, t] >= 0), weight, 0.0)
            excess = _excess_covariance(score[:, r], score[:, t], both, posterior, mean[r], mean[t])
            rho[r, t] = rho[t, r] = np.clip(excess / np.sqrt(noise[r] * noise[t]), -0.95, 0.95)
    return Moments(np.sqrt(signal / (signal + noise)), rho, np.asarray(mean @ prior))


def _excess_covariance(a: Array, b: Array, mass: Array, posterior: Array, A: Array, B: Array) -> float:
    """Cov(a, b) over the rows with mass, less Cov(A, B) under those rows' own distribution of theta; NaN
    for too few rows.
    """
    total = mass.sum()
    if total < FEWEST_SHARED:
        return float("nan")
    mass = mass / total
    g = mass @ posterior
    seen = mass @ (a * b) - (mass @ a) * (mass @ b)
    return float(seen - (g @ (A * B) - (g @ A) * (g @ B)))


def panel_information(information: Array, residuals: Array, members: NDArray[np.bool_]) -> float:
    """J of the members, 0 for none. Pairs whose rho is not known count as independent."""
    v2 = information[members]
    if not v2.size or v2.sum() <= 0:
        return 0.0
    v = np.sqrt(v2)
    spread = float(v @ np.nan_to_num(residuals)[np.ix_(members, members)] @ v)
    # Errors that cancel would make a panel better than any of its raters' noise allows; that much is not
    # believed.
    return float(v2.sum() ** 2 / max(spread, v2.sum() / 2))


def reliability(J: float) -> float:
    """J / (1 + J)."""
    return J / (1 + J)


def independent_raters(information: Array, residuals: Array) -> float:
    """How many independent raters of the panel's kind would tell as much, 0..R."""
    if information.sum() <= 0:
        return 0.0
    J = panel_information(information, residuals, np.ones(len(information), dtype=bool))
    return float(min(J * information.sum() / (information**2).sum(), len(information)))


def loss_without(information: Array, residuals: Array) -> Array:
    """Reliability lost where each rater alone is left out, (R,); negative where the panel is better without
    it.
    """
    everyone = np.ones(len(information), dtype=bool)
    whole = reliability(panel_information(information, residuals, everyone))
    out = np.empty(len(information))
    for r in range(len(information)):
        left = everyone.copy()
        left[r] = False
        out[r] = whole - reliability(panel_information(information, residuals, left))
    return out


def best_order(information: Array, residuals: Array, prices: Array | None = None) -> list[tuple[int, float]]:
    """Raters in the order in which one would add them, each with the reliability reached.

    The next is the one with the largest gain, or, with prices (R,), the largest gain for its price.
    """
    members = np.zeros(len(information), dtype=bool)
    cost = np.ones(len(information)) if prices is None else np.maximum(prices, 1e-9)
    out: list[tuple[int, float]] = []
    for _ in information:
        now = reliability(panel_information(information, residuals, members))
        reached = np.full(len(information), -np.inf)
        for r in np.flatnonzero(~members):
            grown = members.copy()
            grown[r] = True
            reached[r] = reliability(panel_information(information, residuals, grown))
        gain = reached - now
        r = int(np.where(members, -np.inf, np.where(gain > 0, gain / cost, gain * cost)).argmax())
        members[r] = True
        out.append((r, float(reached[r])))
    return out


def spare_raters(
    information: Array, residuals: Array, prices: Array | None = None, worth: float = WORTH
) -> list[int]:
    """Raters that can all go together for at most `worth` of reliability, two at least staying; the dearest
    first of equals.
    """
    members = np.ones(len(information), dtype=bool)
    whole = reliability(panel_information(information, residuals, members))
    out: list[int] = []
    while members.sum() > 2:
        loss = np.full(len(information), np.inf)
        for r in np.flatnonzero(members):
            left = members.copy()
            left[r] = False
            loss[r] = whole - reliability(panel_information(information, residuals, left))
        can = loss <= worth
        if not can.any():
            break
        r = (
            int((np.where(can, 1.0, -np.inf) * (prices + 1e-9)).argmax())
            if prices is not None
            else int(loss.argmin())
        )
        members[r] = False
        out.append(r)
    return out


def gain_of_another(information: Array, residuals: Array) -> float:
    """Reliability gained by one more rater like the mean of these: their mean information, their mean
    residual correlation.
    """
    R = len(information)
    off = ~np.eye(R, dtype=bool)
    known = residuals[off][~np.isnan(residuals[off])]
    rho = max(float(known.mean()), 0.0) if known.size else 0.0
    grown = np.full((R + 1, R + 1), rho)
    grown[:R, :R] = residuals
    grown[R, R] = 1.0
    more = np.append(information, information.mean())
    everyone = np.ones(R + 1, dtype=bool)
    before = reliability(panel_information(information, residuals, everyone[:R]))
    return reliability(panel_information(more, grown, everyone)) - before


def twins(correlation: Array) -> list[tuple[int, int, float, float]]:
    """Pairs (r, t, seen, implied) whose correlation exceeds what the others imply by more than TWINS, the
    worst first.

    correlation (R, R), NaN where unknown. implied: median of C_rs C_tu / C_su over pairs of other raters s,
    u that agree at all.
    """
    R = len(correlation)
    out = []
    for r in range(R):
        for t in range(r):
            rest = [x for x in range(R) if x not in (r, t)]
            ways = [
                correlation[r, s] * correlation[t, u] / correlation[s, u]
                for s in rest
                for u in rest
                if s != u and correlation[s, u] > 0.1
            ]
            known = [w for w in ways if not np.isnan(w)]
            if known and correlation[r, t] - np.median(known) > TWINS:
                out.append((t, r, float(correlation[r, t]), float(np.median(known))))
    return sorted(out, key=lambda pair: pair[3] - pair[2])
