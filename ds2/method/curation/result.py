"""What curation returns: arrays for the next step, and a typed account of how far to trust them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.base import notebook
from ds2.method.anchor_judgement import Judgement
from ds2.method.length import LengthOfOrders
from ds2.method.panel_result import PanelAccount
from ds2.method.refine import Evidence

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Clusterability:
    """How much a sample's neighbours tell about its score, measured against the same scores shuffled."""

    agreement: float
    """Share of (sample, neighbour) pairs with equal scores."""
    chance: float
    """The same share when scores are shuffled among the rated samples."""
    ratio: float
    """agreement / chance; 1 means that neighbours carry no information."""
    ratio_low: float
    """Lower end of the 95 % interval of the ratio."""
    ratio_high: float
    """Upper end."""
    triple_agreement: float
    """Share of samples whose two nearest neighbours both have its score: what HOC assumes to be about the
    true score.
    """
    triple_chance: float
    informative: bool
    """False where the interval reaches 1."""


@dataclass(frozen=True)
class FitSummary:
    """How the transition matrix was fitted."""

    objective: float
    """HOC's loss (lower is better) or the posterior's mean log-likelihood per sample (higher is better)."""
    starts: int
    """Starting points tried."""
    iterations: int
    """Optimiser or EM steps of the chosen start."""
    spread: float
    """Largest entrywise difference of T between the chosen optimum and those that fit nearly as well, from
    other starts.
    """
    neighbor_worth: float | None = None
    """`posterior`: how concentrated neighbourhoods are in one true score, 0 (as the pool) to 1 (all the
    same).
    """


@dataclass(frozen=True)
class RaterDiagnostics:
    """One rater's scores."""

    num_rated: int
    score_counts: list[int]
    """Samples given each score 0..K-1."""
    largest_share: float
    """Share of the rated samples that have the most common score."""
    empty_scores: list[int]
    """Score levels that no sample has."""
    clusterability: Clusterability | None
    """None where too few samples are rated to measure it."""
    length_correlation: float | None
    """Spearman correlation of score and length; None without texts or lengths."""
    diagonally_dominant: bool | None
    """Whether every row of T is largest on the diagonal; None without a T."""


@dataclass(frozen=True)
class Interval:
    """A 95 % bootstrap interval, entry by entry; docs/curation.md says how often it holds the truth on
    planted pools.
    """

    low: Array
    high: Array


@dataclass(frozen=True)
class Uncertainty:
    """Bootstrap over neighbourhoods (`bootstrap=B`)."""

    resamples: int
    transition: Interval
    prior: Interval
    clusterability: Interval
    """The interval of the agreement ratio, (R,) each end."""
    error_probability: Array
    """Probability that each given score is wrong, (N,), or (N, R) for several raters; NaN where unrated."""
    stability_budgets: NDArray[np.int64]
    """Budgets at which stability is given, (B,)."""
    stability: Array
    """Expected share of the chosen subset that another resample would choose too, (B,)."""


@dataclass
class Diagnostics:
    """How far to trust a curation."""

    method: str
    num_samples: int
    raters: list[RaterDiagnostics]
    fit: FitSummary | None = None
    duplicate_texts: int | None = None
    """Samples whose text occurred before; None without texts."""
    duplicate_embeddings: int = 0
    """Samples at distance 0 from their nearest neighbour."""
    num_flagged: int = 0
    num_changed: int = 0
    """Rated samples whose curated score differs from the given one; of several raters, from the median of
    their scores.
    """
    kept_raw: bool = False
    """True where curation was declined (`on_uninformative="keep_raw"`) and the given scores stand."""
    evidence: Evidence | None = None
    """`refine`: what the order among equal scores rests on."""
    length: LengthOfOrders | None = None
    """What the given scores and the order owe to length; None without texts or lengths."""
    anchors: Judgement | None = None
    """What people's scores say of the rater and of the order; None without anchors."""
    panel: PanelAccount | None = None
    """`refine` of several raters: what they are worth, together and each."""
    verdict: str | None = None
    """What was done and on what evidence, what that cannot tell, and what would tell."""
    warnings: list[str] = field(default_factory=list)

    @property
    def clusterability(self) -> Clusterability | None:
        """The first rater's."""
        return self.raters[0].clusterability

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, numbers and strings, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Asked:
    """Samples that people scored, n of them."""

    rows: NDArray[np.int64]
    """(n,)"""
    scores: NDArray[np.int64]
    """(n,) people's scores, 0..K-1."""
    weight: Array
    """(n,) design weights: how many samples each stands for."""
    order: Array
    """(n,) what the curation would order each by, had it not been asked: in `refined`'s units, without a
    refined order in the posterior mean's."""


@dataclass(frozen=True, eq=False, repr=False)
class CurationResult:
    """Curated scores and what they rest on. N samples, K score levels, R raters."""

    transition: Array | None
    """T[i, j] = P(rated j | true i), (K, K), or (R, K, K) for several raters; None for method `none`
    and for a panel (`refine`).
    """
    prior: Array | None
    """P(true i), (K,); None for method `none` and for a panel (`refine`)."""
    curated: NDArray[np.int64]
    """(N,) scores; -1 where unrated and the method says nothing about unrated samples (`rank`, `none`).
    `refine`: the given score, the posterior's argmax where there is none.
    """
    confidence: Array
    """(N,) in [0, 1]: `rank`, the certainty of the suggested score; `posterior`, the probability of the
    curated one.
    """
    flagged: NDArray[np.bool_]
    """(N,) samples whose given score is judged wrong; with several raters, more than half of the scores it
    was given.
    """
    posterior: Array | None
    """P(true i | everything), (N, K); None for `rank` and `none`."""
    long_tail: Array
    """(N,) diversity, higher is rarer."""
    diagnostics: Diagnostics
    uncertainty: Uncertainty | None = None
    """Present where `bootstrap` was asked for."""
    refined: Array | None = None
    """(N,) `refine`: orders samples, the given score first, then the student with half the posterior."""
    student: Array | None = None
    """(N,) `refine`: what the rater's student predicts out of fold, in scores."""
    asked: Asked | None = None
    """The anchors, where there are any."""

    def keeping(self, given: NDArray[np.int64]) -> CurationResult:
        """The same with the given scores, (N,), in place of what it made of them."""
        nothing = np.zeros(len(given))
        kept = replace(self.diagnostics, kept_raw=True, num_flagged=0, num_changed=0)
        return replace(
            self, curated=given, confidence=nothing, flagged=nothing > 0, posterior=None, diagnostics=kept
        )

    @property
    def posterior_mean(self) -> Array | None:
        """Expected true score, (N,): a soft score that ranks within a level; None without a posterior."""
        if self.posterior is None:
            return None
        return np.asarray(self.posterior @ np.arange(self.posterior.shape[1]))

    def __repr__(self) -> str:
        d = self.diagnostics
        return (
            f"CurationResult({d.method}: {d.num_samples:,} samples, {len(d.raters)} rater"
            f"{'s' if len(d.raters) > 1 else ''}, {d.num_flagged:,} flagged, {d.num_changed:,} changed)"
        )

    def _repr_html_(self) -> str:
        d = self.diagnostics
        said = notebook.prose(d.verdict or "")
        counts = {
            "method": d.method, "samples": f"{d.num_samples:,}", "flagged": f"{d.num_flagged:,}",
            "changed": f"{d.num_changed:,}",
        }  # fmt: skip
        several = () if self.transition is None else self.transition.reshape(-1, *self.transition.shape[-2:])
        maps = "".join(
            notebook.heatmap(T.tolist(), row="true", column="rated", caption="P(rated | true)")
            for T in several
        )
        return said + notebook.table(list(counts), [list(counts.values())]) + maps
