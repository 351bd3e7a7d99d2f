"""Several raters' scores as one: the panel's score, and an account of every rater.

The score is the posterior mean of the one quality that the raters share (`factor`); what the panel is worth
is in `panel_worth`. Time is linear in samples: distinct rows are fitted and scored once, and of more than
FIT_ROWS distinct rows a random FIT_ROWS samples are fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds2.base.checks import number_array, whole_number
from ds2.base.errors import UserError
from ds2.base.threads import one_blas_thread
from ds2.method import panel_worth as worth
from ds2.method.factor import Factor, fit_factor, score_rows, slope_errors, unique_rows
from ds2.method.panel_result import Panel, PanelRater, PanelStep
from ds2.method.scores import check_scores

Array = NDArray[np.float64]

FIT_ROWS = 12_000
"""Distinct rows beyond which parameters are fitted on that many samples drawn at random."""
TOP = 0.1
"""Share of the pool whose choice `PanelRater.changed_top` speaks of."""


@one_blas_thread()
def fit_panel(
    scores: ArrayLike,
    *,
    num_scores: int | Sequence[int] = 6,
    names: Sequence[str] | None = None,
    prices: ArrayLike | None = None,
    seed: int = 0,
) -> Panel:
    """Fuse raters' scores by what they have in common.

    scores: (N, R) integers in 0..K-1, -1 where a rater gave none. num_scores: K, or each rater's, which
    must be equal.
    names: R labels. prices: (R,) dollars that each rater's scores of the pool cost. seed: of the rows drawn
    for the fit in a large pool. UserError, one line, for fewer than two raters, scales that differ, a rater
    that is constant or gave nothing, or raters that share no rows.
    """
    names, K = _check_panel(scores, num_scores, names)
    s = check_scores(scores, K, "posterior")
    levels = [_levels(s[:, r], name) for r, name in enumerate(names)]
    _check_linked(s >= 0, names)
    cost = None if prices is None else _check_prices(prices, len(names))
    codes = np.stack(
        [np.where(s[:, r] < 0, -1, np.searchsorted(lv, s[:, r])) for r, lv in enumerate(levels)], axis=1
    )
    first, which, count = unique_rows(codes, K)
    rows, weight = _rows_to_fit(codes, first, count, K, whole_number("seed", seed, 0))
    correlation = _correlations(s[rows], weight)
    model = fit_factor(codes[rows], weight, _first_loadings(correlation))
    mean, sd = score_rows(model, codes[first])
    anyone = (codes[first] >= 0).any(axis=1)
    moments = worth.panel_moments(model, codes[rows], weight, levels)
    return Panel(
        score=np.where(anyone, mean, np.nan)[which],
        score_sd=np.where(anyone, sd, np.nan)[which],
        raters=_describe(model, codes[rows], weight, s, levels, names, moments, cost),
        residuals=moments.residuals,
        model=model,
        warnings=_warnings(names, model, correlation),
        **_account(names, moments, cost),
    )


def _check_panel(
    scores: ArrayLike, num_scores: int | Sequence[int], names: Sequence[str] | None
) -> tuple[list[str], int]:
    """Labels of the raters and their common K."""
    shape = np.shape(scores)
    if len(shape) != 2 or shape[1] < 2:
        raise UserError(f"a panel needs scores of at least 2 raters, (N, R), got shape {shape}")
    labels = [f"rater {r}" for r in range(shape[1])] if names is None else [str(name) for name in names]
    if len(labels) != shape[1]:
        raise UserError(f"{len(labels)} names for {shape[1]} raters")
    if isinstance(num_scores, int | np.integer):
        return labels, whole_number("num_scores", num_scores, 2)
    scales = [whole_number("num_scores", k, 2) for k in num_scores]
    if len(scales) != shape[1]:
        raise UserError(f"{len(scales)} scales for {shape[1]} raters")
    odd = next((r for r, k in enumerate(scales) if k != scales[0]), None)
    if odd is not None:
        raise UserError(
            f"raters of a panel must share one scale: {labels[0]} scores 0..{scales[0] - 1}, "
            f"{labels[odd]} 0..{scales[odd] - 1}"
        )
    return labels, scales[0]


def _levels(scores: NDArray[np.int64], name: str) -> NDArray[np.int64]:
    levels = np.unique(scores[scores >= 0])
    if not levels.size:
        raise UserError(f"{name} rated nothing; leave it out of the panel")
    if len(levels) == 1:
        raise UserError(f"{name} gives every sample the score {levels[0]}; leave it out of the panel")
    return levels


def _check_linked(rated: NDArray[np.bool_], names: list[str]) -> None:
    """Every rater must be comparable with every other, directly or through raters between them."""
    shared = rated.T.astype(np.float64) @ rated
    linked = shared >= worth.FEWEST_SHARED
    reached = np.zeros(len(names), dtype=bool)
    reached[0] = True
    for _ in names:
        reached |= linked[reached].any(axis=0)
    if not reached.all():
        apart = int(np.flatnonzero(~reached)[0])
        most = int(shared[apart, reached].max())
        count = "no rows" if most == 0 else f"only {most} row{'s' * (most != 1)}"
        raise UserError(
            f"{names[apart]} shares {count} with "
            f"{', '.join(n for n, r in zip(names, reached, strict=True) if r)}: raters of a panel need at "
            f"least {worth.FEWEST_SHARED} samples that both rated"
        )


def _check_prices(prices: ArrayLike, R: int) -> Array:
    cost = number_array("prices", prices).astype(np.float64)
    if cost.shape != (R,) or not (cost >= 0).all() or not np.isfinite(cost).all():
        raise UserError(f"prices must be {R} numbers of at least 0, one a rater")
    return cost


def _rows_to_fit(
    codes: NDArray[np.int64], first: NDArray[np.int64], count: NDArray[np.int64], K: int, seed: int
) -> tuple[NDArray[np.int64], Array]:
    """Indices of distinct rows and how many samples each stands for."""
    if len(first) <= FIT_ROWS:
        return first, count.astype(np.float64)
    drawn = np.random.default_rng([seed, 13]).choice(len(codes), FIT_ROWS, replace=False)
    # A level that only rows not drawn have would have no threshold: one row for each level and rater joins
    # them.
    kept = [np.unique(codes[:, r], return_index=True)[1] for r in range(codes.shape[1])]
    drawn = np.unique(np.concatenate([drawn, *kept]))
    again, _, times = unique_rows(codes[drawn], K)
    return drawn[again], times.astype(np.float64)


def _correlations(scores: NDArray[np.int64], weight: Array) -> Array:
    """Pearson correlations over the rows that each two raters share, (R, R); NaN where they are too few or
    one is constant.
    """
    R = scores.shape[1]
    out = np.full((R, R), np.nan)
    for r in range(R):
        for t in range(r):
            both = (scores[:, r] >= 0) & (scores[:, t] >= 0)
            if weight[both].sum() < worth.FEWEST_SHARED:
                continue
            C = np.cov(scores[both][:, [r, t]].T, aweights=weight[both], ddof=0)
            if C[0, 0] > 0 and C[1, 1] > 0:
                out[r, t] = out[t, r] = C[0, 1] / np.sqrt(C[0, 0] * C[1, 1])
    return out


def _first_loadings(correlation: Array) -> Array:
    """Least-squares loadings of one factor on the known correlations, (R,) in 0..1, to start EM from."""
    known = ~np.isnan(correlation)
    C = np.nan_to_num(correlation)
    lam = np.full(len(C), np.sqrt(max(float(C[known].mean()), 0.05)) if known.any() else 0.5)
    for _ in range(30):
        for r in range(len(C)):
            others = lam * known[r]
            lam[r] = np.clip((C[r] @ others) / max(others @ others, 1e-9), 0.0, 1.0)
    if len(C) == 2:
        lam[:] = np.sqrt(max(C[0, 1], 0.0))
    return lam


def _describe(
    model: Factor,
    codes: NDArray[np.int64],
    weight: Array,
    scores: NDArray[np.int64],
    levels: list[NDArray[np.int64]],
    names: list[str],
    moments: worth.Moments,
    cost: Array | None,
) -> list[PanelRater]:
    half = 1.96 * slope_errors(model, codes, weight)
    low, high = (a / np.sqrt(1 + a**2) for a in (np.maximum(model.slopes - half, 0), model.slopes + half))
    pull = model.slopes * np.sqrt(1 + model.slopes**2)  # lambda / (1 - lambda^2)
    loss = worth.loss_without(moments.information, moments.residuals)
    whole = _top(score_rows(model, codes)[0], weight)
    out = []
    for r, name in enumerate(names):
        blind = codes.copy()
        blind[:, r] = -1
        without = _top(score_rows(model, blind)[0], weight)
        rated = scores[:, r] >= 0
        out.append(
            PanelRater(
                name=name,
                num_rated=int(rated.sum()),
                mean_score=float(scores[rated, r].mean()),
                loading=float(model.loadings[r]),
                loading_low=float(low[r]),
                loading_high=float(high[r]),
                weight=float(pull[r] / max(pull.sum(), 1e-12)),
                thresholds=[float(t) for t in model.thresholds[r]],
                levels=[int(v) for v in levels[r]],
                severity=float(moments.expected.mean() - moments.expected[r]),
                loss_without=float(loss[r]),
                changed_top=float(1 - (np.minimum(whole, without) @ weight) / (whole @ weight)),
                price=None if cost is None else float(cost[r]),
            )
        )
    return out


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


def _account(names: list[str], moments: worth.Moments, cost: Array | None) -> dict[str, Any]:
    """The fields of Panel that rest on information and residual correlations alone."""
    v2, rho = moments.information, moments.residuals
    spare = worth.spare_raters(v2, rho, cost)
    steps, before, spent = [], 0.0, 0.0
    for r, reached in worth.best_order(v2, rho, cost):
        price = None if cost is None else float(cost[r])
        spent += price or 0.0
        gain = reached - before
        rate = price / (100 * gain) if price is not None and gain > 1e-6 else None
        steps.append(PanelStep(names[r], reached, gain, None if cost is None else spent, rate))
        before = reached
    return {
        "reliability": worth.reliability(worth.panel_information(v2, rho, v2 >= 0)),
        "independent_raters": worth.independent_raters(v2, rho),
        "order": steps,
        "spare": [names[r] for r in spare],
        "saved": None if cost is None else float(cost[spare].sum()),
        "gain_of_another": worth.gain_of_another(v2, rho),
    }


def _warnings(names: list[str], model: Factor, correlation: Array) -> list[str]:
    said = []
    if len(names) == 2:
        said.append("two raters: nothing tells which of them is better, so they count alike")
    if model.loadings.max() < 0.3:
        said.append("the raters hardly agree: the panel's score is mostly noise")
    for r, name in enumerate(names):
        known = correlation[r][~np.isnan(correlation[r])]
        if len(names) > 2 and known.size and known.mean() < -0.05:
            said.append(
                f"{name} scores against the others (mean correlation {known.mean():.2f}) and counts for "
                "nothing"
            )
    for r, t, seen, implied in worth.twins(correlation)[:3]:
        said.append(
            f"{names[r]} and {names[t]} agree more with each other ({seen:.2f}) than through the others "
            f"({implied:.2f}): their shared errors count as quality; give the two as one rater (their mean) "
            "to see what changes"
        )
    return said
