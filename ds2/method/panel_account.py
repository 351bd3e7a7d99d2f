"""The account of a panel, from its fitted factor: what each rater adds and costs, in what order one would ask
them, and which are spare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import UserError
from ds2.method import panel_worth as worth
from ds2.method.factor import Factor, score_rows, slope_errors
from ds2.method.panel_result import PanelAccount, PanelRater, PanelStep

Array = NDArray[np.float64]

TOP = 0.1
"""Share of the pool whose choice `PanelRater.changed_top` speaks of."""


@dataclass(frozen=True)
class FittedRater:
    """One rater's scores, before anything is said of it."""

    name: str
    repeats: int
    num_rated: int
    mean_score: float
    levels: Array


def account_of(
    model: Factor,
    codes: NDArray[np.int64],
    weight: Array,
    raters: Sequence[FittedRater],
    repeats_of: str | None,
    moments: worth.Moments,
    noise: float,
    prices: Mapping[str, float] | None,
) -> PanelAccount:
    """codes (P, R) and weight (P,): the distinct rows that were fitted, and how many samples each stands
    for. Raises UserError for prices that cannot be.
    """
    half = 1.96 * slope_errors(model, codes, weight)
    low, high = (a / np.sqrt(1 + a**2) for a in (np.maximum(model.slopes - half, 0), model.slopes + half))
    pull = model.slopes * np.sqrt(1 + model.slopes**2)  # lambda / (1 - lambda^2)
    loss = worth.loss_without(moments.information, moments.residuals)
    whole = _top(score_rows(model, codes)[0], weight)
    described = []
    for r, rater in enumerate(raters):
        blind = codes.copy()
        blind[:, r] = -1
        without = _top(score_rows(model, blind)[0], weight)
        described.append(
            PanelRater(
                name=rater.name,
                repeats=rater.repeats,
                num_rated=rater.num_rated,
                mean_score=rater.mean_score,
                loading=float(model.loadings[r]),
                loading_low=float(low[r]),
                loading_high=float(high[r]),
                information=float(moments.information[r]),
                weight=float(pull[r] / max(pull.sum(), 1e-12)),
                thresholds=[float(t) for t in model.thresholds[r]],
                levels=[float(v) for v in rater.levels],
                severity=float(moments.expected.mean() - moments.expected[r]),
                loss_without=float(loss[r]),
                changed_top=float(1 - (np.minimum(whole, without) @ weight) / (whole @ weight)),
                price=None,
            )
        )
    v2, rho = moments.information, moments.residuals
    bare = PanelAccount(
        raters=described,
        repeats_of=repeats_of,
        residuals=[[None if np.isnan(x) else float(x) for x in row] for row in rho],
        reliability=worth.reliability(worth.panel_information(v2, rho, v2 >= 0)),
        noise=noise,
        independent_raters=worth.independent_raters(v2, rho),
        order=[],
        spare=[],
        saved=None,
        gain_of_another=worth.gain_of_another(v2, rho),
    )
    return priced(bare, prices or {})


def priced(account: PanelAccount, prices: Mapping[str, float | None]) -> PanelAccount:
    """The account with what each rater's scores of the pool cost, in dollars by name; None or absent: not
    known.

    The order asks for the most gain a dollar where every price is known, else for the most gain. Raises
    UserError for a name that is not in the panel, or a price below 0.
    """
    names = [rater.name for rater in account.raters]
    unknown = [name for name in prices if name not in names]
    if unknown:
        raise UserError(f"prices: there is no rater {unknown[0]} in the panel; there are: {', '.join(names)}")
    cost = [prices.get(name) for name in names]
    bad = [n for n, c in zip(names, cost, strict=True) if c is not None and not 0 <= c < np.inf]
    if bad:
        raise UserError(f"prices: the price of {bad[0]} must be a number of at least 0")
    v2 = np.array([rater.information for rater in account.raters])
    rho = np.array(account.residuals, dtype=np.float64)  # None becomes NaN
    known = np.array([c or 0.0 for c in cost])
    everywhere = None not in cost
    spare = worth.spare_raters(v2, rho, known if any(known) else None)
    told = [cost[r] for r in spare if cost[r] is not None]
    return replace(
        account,
        raters=[replace(r, price=c) for r, c in zip(account.raters, cost, strict=True)],
        order=_steps(names, v2, rho, known if everywhere else None),
        spare=[names[r] for r in spare],
        saved=float(sum(c for c in told if c is not None)) if told else None,
    )


def _steps(names: list[str], v2: Array, rho: Array, cost: Array | None) -> list[PanelStep]:
    steps, before, spent = [], 0.0, 0.0
    for r, reached in worth.best_order(v2, rho, cost):
        price = None if cost is None else float(cost[r])
        spent += price or 0.0
        gain = reached - before
        rate = price / (100 * gain) if price is not None and gain > 1e-6 else None
        steps.append(PanelStep(names[r], reached, gain, None if cost is None else spent, rate))
        before = reached
    return steps


def _top(score: Array, weight: Array) -> Array:
    """Share of each row's samples that is among the best TOP, (P,); rows of one score share what is left
    evenly.
    """
    order = np.argsort(-score, kind="stable")
    _, tie = np.unique(-score[order], return_inverse=True)
    mass = np.bincount(tie, weights=weight[order])
    room = TOP * weight.sum() - (np.cumsum(mass) - mass)
    out = np.empty(len(score))
    out[order] = np.clip(room / mass, 0, 1)[tie]
    return out
