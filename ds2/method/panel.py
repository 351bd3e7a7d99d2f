"""Several raters' scores as one: the panel's score, and an account of every rater.

The score is the posterior mean of the one quality that the raters share (`factor`); what the panel is worth
is in `panel_worth`. Columns of one name are repeats of one rater: their mean is its one score, because what
repeats share beyond the quality, their rater's own errors, must not pass for quality. Time is linear in
samples: distinct rows are fitted and scored once, and of more than FIT_ROWS distinct rows a random FIT_ROWS
samples are fitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds2.base.checks import whole_number
from ds2.base.errors import UserError
from ds2.base.threads import one_blas_thread
from ds2.method import panel_worth as worth
from ds2.method.agreement import row_means
from ds2.method.factor import Factor, fit_factor, score_rows, unique_rows
from ds2.method.panel_account import FittedRater, account_of
from ds2.method.panel_result import Panel
from ds2.method.scores import check_scores

Array = NDArray[np.float64]

FIT_ROWS = 12_000
"""Distinct rows beyond which parameters are fitted on that many samples drawn at random."""
FINEST = 4
"""Means of repeats are rounded to at most so many steps a point: finer ones leave too few samples a level."""


@one_blas_thread()
def fit_panel(
    scores: ArrayLike,
    *,
    num_scores: int | Sequence[int] = 6,
    names: Sequence[str] | None = None,
    prices: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Panel:
    """Fuse raters' scores by what they have in common.

    scores: (N, C) integers in 0..K-1, -1 where a rater gave none. num_scores: K, or each column's, which
    must be equal.
    names: the rater of each column; columns of one name are its repeats, and where all are of one rater each
    counts as a rater. prices: dollars that a rater's scores of the pool cost, by name. seed: of the rows
    drawn for the fit in a large pool. UserError, one line, for fewer than two columns, scales that differ, a
    rater that is constant or gave nothing, or raters that share no rows.
    """
    labels, K = _check_panel(scores, num_scores, names)
    columns = check_scores(scores, K, "posterior")
    raters, values = by_rater(columns, labels)
    repeats_of = labels[0] if len(set(labels)) == 1 else None
    check_linked(values, raters)
    levels = [np.unique(v[v >= 0]) for v in values.T]
    codes = np.stack(
        [np.where(v < 0, -1, np.searchsorted(lv, v)) for v, lv in zip(values.T, levels, strict=True)], axis=1
    )
    most = max(map(len, levels))
    first, which, count = unique_rows(codes, most)
    rows, weight = _rows_to_fit(codes, first, count, most, whole_number("seed", seed, 0))
    correlation = _correlations(values[rows], weight)
    model = fit_factor(codes[rows], weight, _first_loadings(correlation))
    quality, sd = score_rows(model, codes[first])
    anyone = (codes[first] >= 0).any(axis=1)
    sd = np.where(anyone, sd, np.nan)[which]
    moments = worth.panel_moments(model, codes[rows], weight, levels)
    described = [
        FittedRater(name, labels.count(name) or 1, int((v >= 0).sum()), float(v[v >= 0].mean()), lv)
        for name, v, lv in zip(raters, values.T, levels, strict=True)
    ]
    noise = float(np.sqrt(np.nanmean(sd**2)))
    return Panel(
        score=np.where(anyone, quality, np.nan)[which],
        score_sd=sd,
        mean=row_means(np.where(values < 0, np.nan, values)),
        residuals=moments.residuals,
        model=model,
        account=account_of(model, codes[rows], weight, described, repeats_of, moments, noise, prices),
        warnings=[] if repeats_of else _warnings(raters, model, correlation),
    )


def by_rater(columns: NDArray[np.int64], labels: Sequence[str]) -> tuple[list[str], Array]:
    """Raters in order of their first column, and each one's score (N, R), -1 where it gave none: of repeats
    the mean. columns: (N, C), the columns' raters in `labels`. Where all columns are of one rater, each
    counts as a rater.
    """
    raters = list(dict.fromkeys(labels))
    if len(raters) == 1:
        return [f"repeat {i + 1}" for i in range(len(labels))], columns.astype(np.float64)
    values = []
    for rater in raters:
        own = columns[:, [label == rater for label in labels]]
        if own.shape[1] == 1:
            values.append(own[:, 0].astype(np.float64))
            continue
        steps = min(own.shape[1], FINEST)
        mean = np.round(steps * row_means(np.where(own < 0, np.nan, own))) / steps
        values.append(np.where(np.isnan(mean), -1.0, mean))
    return raters, np.stack(values, axis=1)


def check_linked(values: Array, names: Sequence[str]) -> None:
    """Every rater must tell samples apart, and be comparable with every other, directly or through raters
    between them. values (N, R), below 0: none. Raises UserError naming the rater at fault.
    """
    for name, v in zip(names, values.T, strict=True):
        given = v[v >= 0]
        if not given.size:
            raise UserError(f"{name} rated nothing; leave it out of the panel")
        if given.min() == given.max():
            raise UserError(f"{name} gives every sample the score {given[0]:g}; leave it out of the panel")
    rated = (values >= 0).astype(np.float64)
    shared = rated.T @ rated
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


def _check_panel(
    scores: ArrayLike, num_scores: int | Sequence[int], names: Sequence[str] | None
) -> tuple[list[str], int]:
    """The rater of each column and the raters' common K."""
    shape = np.shape(scores)
    if len(shape) != 2 or shape[1] < 2:
        raise UserError(f"a panel needs scores of at least 2 raters, (N, R), got shape {shape}")
    labels = [f"rater {r}" for r in range(shape[1])] if names is None else [str(name) for name in names]
    if len(labels) != shape[1]:
        raise UserError(f"{len(labels)} names for {shape[1]} columns of scores")
    if isinstance(num_scores, int | np.integer):
        return labels, whole_number("num_scores", num_scores, 2)
    scales = [whole_number("num_scores", k, 2) for k in num_scores]
    if len(scales) != shape[1]:
        raise UserError(f"{len(scales)} scales for {shape[1]} columns of scores")
    odd = next((r for r, k in enumerate(scales) if k != scales[0]), None)
    if odd is not None:
        raise UserError(
            f"raters of a panel must share one scale: {labels[0]} scores 0..{scales[0] - 1}, "
            f"{labels[odd]} 0..{scales[odd] - 1}"
        )
    return labels, scales[0]


def _rows_to_fit(
    codes: NDArray[np.int64], first: NDArray[np.int64], count: NDArray[np.int64], levels: int, seed: int
) -> tuple[NDArray[np.int64], Array]:
    """Indices of distinct rows and how many samples each stands for."""
    if len(first) <= FIT_ROWS:
        return first, count.astype(np.float64)
    drawn = np.random.default_rng([seed, 13]).choice(len(codes), FIT_ROWS, replace=False)
    # A level that only rows not drawn have would have no threshold: one row for each level and rater joins
    # them.
    kept = [np.unique(codes[:, r], return_index=True)[1] for r in range(codes.shape[1])]
    drawn = np.unique(np.concatenate([drawn, *kept]))
    again, _, times = unique_rows(codes[drawn], levels)
    return drawn[again], times.astype(np.float64)


def _correlations(scores: Array, weight: Array) -> Array:
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
