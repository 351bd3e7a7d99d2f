"""Selection and budget."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ds2.config.base import MISSING
from ds2.config.curation import CurationMethod


class Score(Enum):
    given = "given"
    """The rater's own scores: the rate artifact's."""
    curated = "curated"
    """The curation artifact's integer scores."""
    posterior_mean = "posterior_mean"
    """Expected true score under the posterior."""


@dataclass
class SelectionConfig:
    """What every selection has; a strategy's own fields are in `ds2/selection/config.py`."""

    name: str = MISSING
    """Short name used in slugs, run names and tables."""
    strategy: str = MISSING
    """A module of `ds2/selection/`."""
    curation: CurationMethod | None = None
    """The curation this choice presumes; any other is refused before anything runs. None: any."""
    rater: str | None = None
    """The rater this choice presumes (`truth` for the oracle). None: any."""


@dataclass
class BudgetConfig:
    samples: float = MISSING
    """Number of samples to select, or, below 1, the share of the pool."""
