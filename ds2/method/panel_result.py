"""What fusing a panel of raters returns: the panel's score, and a typed account of every rater."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ds2.method.factor import Factor

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PanelRater:
    """One rater of a panel."""

    name: str
    repeats: int
    """Columns of scores that it gave; their mean is its one score."""
    num_rated: int
    mean_score: float
    loading: float
    """lambda: correlation of the rater's impressions with the panel's quality, at least 0."""
    loading_low: float
    loading_high: float
    """95 % interval."""
    information: float
    """v^2: its signal over its noise, the coarseness of its scale included."""
    weight: float
    """lambda / (1 - lambda^2), in shares of the panel's sum."""
    thresholds: list[float]
    """tau of `factor`: the impression, mean 0 and variance 1, from which the rater gives each next level
    that it uses.
    """
    levels: list[float]
    """Levels that it uses, ascending; one more than thresholds."""
    severity: float
    """Points that the rater gives less than the panel's mean rater would for the same samples."""
    loss_without: float
    """Reliability lost without this rater; negative where the panel is better without it."""
    changed_top: float
    """Share of the best tenth that would be chosen differently without it."""
    price: float | None
    """Dollars for the pool; None where not known."""


@dataclass(frozen=True)
class PanelStep:
    """The panel grown to this rater, the best next one first."""

    rater: str
    reliability: float
    gain: float
    """Reliability that this rater added."""
    cost: float | None
    """Dollars of the panel so far; None where a price is not known."""
    dollars_per_point: float | None
    """Price of this rater for each .01 of reliability that it added; None without prices or gain."""


@dataclass(frozen=True)
class PanelAccount:
    """What a panel is worth and what each of its R raters adds: plain values, ready for JSON."""

    raters: list[PanelRater]
    repeats_of: str | None
    """The one rater whose repeats these are; None where they are raters."""
    residuals: list[list[float | None]]
    """(R, R) residual correlations; None where two raters share too few rows."""
    reliability: float
    """Squared correlation of the panel's score with the quality, errors correlated as the residuals show."""
    noise: float
    """Root mean square error of the panel's score, in standard deviations of the quality."""
    independent_raters: float
    """How many independent raters the panel is worth; errors that all share cannot be seen."""
    order: list[PanelStep]
    """In which order one would have asked the raters: the cost of each next one against its gain."""
    spare: list[str]
    """Raters that could be left out together for at most .005 of reliability."""
    saved: float | None
    """Dollars that leaving the spare ones out saves; None where none of their prices is known."""
    gain_of_another: float
    """Reliability that one more rater like these would add."""


@dataclass(frozen=True, eq=False)
class Panel:
    """A panel's score and its account. N samples, R raters."""

    score: Array
    """(N,) E[quality | row], in standard deviations of the quality; NaN where nobody rated."""
    score_sd: Array
    """(N,) its posterior standard deviation; NaN where nobody rated."""
    mean: Array
    """(N,) mean of the raters' scores; NaN where nobody rated."""
    residuals: Array
    """(R, R) residual correlations; NaN where two raters share too few rows."""
    model: Factor
    account: PanelAccount
    warnings: list[str] = field(default_factory=list)
