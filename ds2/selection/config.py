"""What each strategy lets a person choose: one dataclass a strategy, so that another strategy's field is refused.

Everything here is identity: it enters the fingerprint of the `select` step, except a value that is the default of one of
the cross-cutting options (`OPTIONAL`), which changes nothing and therefore leaves the fingerprint as it is without it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ds2.config import MISSING, Score, SelectionConfig


@dataclass
class SourceQuota:
    source: str = MISSING
    samples: float = MISSING
    """Exactly so many of the subset, or, below 1, such a share of the budget."""


@dataclass
class FilterConfig:
    """What may enter the subset, whatever the strategy."""

    source_cap: float | None = None
    """The most that any one source may have in the subset: samples, or, below 1, a share of the budget."""
    source_quota: list[SourceQuota] = field(default_factory=list)
    """Sources with a fixed part of the subset, `[{source: dolly, samples: 0.25}]`; the rest comes from the others."""
    near_duplicates: float | None = None
    """Cosine similarity from which two samples count as one; the earlier row stays. None: off."""


@dataclass
class FilteredSelectionConfig(SelectionConfig):
    """A strategy that takes a budget and so can be filtered."""

    filter: FilterConfig = field(default_factory=FilterConfig)


@dataclass
class ScoredSelectionConfig(FilteredSelectionConfig):
    """A strategy that ranks by a rater's score."""

    score: Score = Score.curated
    """Which score: as given (stage `rate`), curated, or the posterior mean (stage `curate`)."""
    length_partialled: bool = False
    """Rank by what the length of the conversation does not predict: the residual of the score on log length."""


@dataclass
class Ds2SelectionConfig(ScoredSelectionConfig):
    """The paper's order (section 4.3)."""

    diversity: bool = True
    """Break ties of equal score by the long-tail score; otherwise by a seeded shuffle."""


OPTIONAL = ("filter", "length_partialled")
"""Options that enter an identity only where they are used."""

SCHEMAS: dict[str, type[SelectionConfig]] = {
    "selection": SelectionConfig,
    "filtered_selection": FilteredSelectionConfig,
    "ds2_selection": Ds2SelectionConfig,
}
"""Schema name, as a YAML of `conf/selection/` starts from it -> its dataclass."""
