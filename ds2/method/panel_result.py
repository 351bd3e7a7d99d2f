"""What fusing a panel of raters returns: the panel's score and a typed account of every rater."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.method.factor import Factor

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PanelRater:
    """One rater of a panel."""

    name: str
    num_rated: int
    mean_score: float
    loading: float
    """lambda: correlation of the rater's impressions with the panel's quality, at least 0."""
    loading_low: float
    loading_high: float
    """95 % interval."""
    weight: float
    """lambda / (1 - lambda^2), in shares of the panel's sum."""
    thresholds: list[float]
    """tau of `factor`: the impression, mean 0 and variance 1, from which the rater gives each next level
    that it uses.
    """
    levels: list[int]
    """Levels that it uses, ascending; one more than thresholds."""
    severity: float
    """Points that the rater gives less than the panel's mean rater would for the same samples."""
    loss_without: float
    """Reliability lost without this rater; negative where the panel is better without it."""
    changed_top: float
    """Share of the best tenth that would be chosen differently without it."""
    price: float | None
    """Dollars for the pool, as given."""


@dataclass(frozen=True)
class PanelStep:
    """The panel grown to this rater, the best next one first."""

    rater: str
    reliability: float
    gain: float
    """Reliability that this rater added."""
    cost: float | None
    """Dollars of the panel so far."""
    dollars_per_point: float | None
    """Price of this rater for each .01 of reliability that it added; None without prices or gain."""


@dataclass(frozen=True, eq=False)
class Panel:
    """A panel's score and its account. N samples, R raters."""

    score: Array
    """(N,) E[quality | row], in standard deviations of the quality; NaN where nobody rated."""
    score_sd: Array
    """(N,) its posterior standard deviation; NaN where nobody rated."""
    raters: list[PanelRater]
    residuals: Array
    """(R, R) residual correlations; NaN where two raters share too few rows."""
    reliability: float
    """Squared correlation of the panel's score with the quality, errors correlated as the residuals show."""
    independent_raters: float
    """How many independent raters the panel is worth; errors that all share cannot be seen."""
    order: list[PanelStep]
    """In which order one would have asked the raters: the cost of each next one against its gain."""
    spare: list[str]
    """Raters that could be left out together for at most .005 of reliability."""
    saved: float | None
    """Dollars that leaving the spare ones out saves."""
    gain_of_another: float
    """Reliability that one more rater like these would add."""
    model: Factor
    warnings: list[str] = field(default_factory=list)

    @property
    def noise(self) -> float:
        """Root mean square of `score_sd`: scores nearer than this the panel cannot tell apart."""
        return float(np.sqrt(np.nanmean(self.score_sd**2)))

    def to_dict(self) -> dict[str, Any]:
        """The account without the samples' arrays: plain values, ready for JSON."""
        known = np.round(self.residuals, 4).tolist()
        return {
            "raters": [asdict(r) for r in self.raters],
            "residuals": [[None if np.isnan(x) else x for x in row] for row in known],
            "reliability": self.reliability,
            "noise": self.noise,
            "independent_raters": self.independent_raters,
            "order": [asdict(s) for s in self.order],
            "spare": self.spare,
            "saved": self.saved,
            "gain_of_another": self.gain_of_another,
            "warnings": self.warnings,
        }
