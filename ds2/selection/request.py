"""What a selection strategy is given and what it returns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ds2.config import SelectionConfig
from ds2.errors import UserError


@dataclass(frozen=True)
class Request:
    config: SelectionConfig
    pool_size: int
    """N."""
    budget: float
    """Samples to select, or, below 1, a share of the pool."""
    seed: int
    curation: pd.DataFrame | None = None
    """The curation artifact's table (N rows), where the strategy needs it."""


@dataclass(frozen=True)
class Choice:
    positions: NDArray[np.int64]
    """Positions in the pool, best first."""
    reasons: Sequence[str]
    """Why each was chosen, in a few words."""


def check_budget(budget: float) -> None:
    """Raises UserError for a budget that no pool could meet: zero, negative, or neither whole nor a share."""
    if not math.isfinite(budget) or budget <= 0:
        raise UserError(f"budget.samples={budget:g} must be a number of samples, or a share between 0 and 1")
    if budget >= 1 and budget != int(budget):
        raise UserError(f"budget.samples={budget:g} is neither a whole number nor a share below 1")


def resolve_budget(budget: float, available: int, *, pool_size: int) -> int:
    """Number of samples to select.

    Args:
        budget: a whole number of samples, or a share of the pool in (0, 1).
        available: samples that can be chosen.

    Raises:
        UserError: a budget that no pool could meet, or more than is available.
    """
    check_budget(budget)
    count = max(1, round(budget * pool_size)) if budget < 1 else int(budget)
    if count > available:
        of = (
            f"the pool's {pool_size}"
            if available == pool_size
            else f"the {available} of {pool_size} that have a score"
        )
        raise UserError(f"budget.samples={count} is more than {of} samples; lower it")
    return count
