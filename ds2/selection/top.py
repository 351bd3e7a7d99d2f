"""The head of a ranking by one number: what the simple strategies share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import UserError
from ds2.config.selection import FilteredSelectionConfig
from ds2.selection.filters import Eligible
from ds2.selection.request import Choice, Request


def choose_top(
    request: Request[FilteredSelectionConfig],
    values: NDArray[np.float64],
    say: Callable[[float], str],
    *,
    allowed: NDArray[np.bool_] | None = None,
    that: str = "that have a score",
    ties: NDArray[np.float64] | None = None,
    everything: bool = False,
) -> Choice:
    """The `budget` samples of the largest value.

    Args:
        values: (N,), finite wherever `allowed` (default: everywhere).
        say: the reason, from a sample's value.
        ties: (N,) second key, larger first; remaining ties by row.
        everything: take all that is allowed, whatever the budget.

    Raises:
        UserError: a value that is not finite, or a budget over what is available.
    """
    eligible = Eligible(request, allowed, that, everything=everything)
    candidates = np.flatnonzero(eligible.mask)
    bad = candidates[~np.isfinite(values[candidates])]
    if bad.size:
        raise UserError(
            f"selection={request.config.name}: the value of row {int(bad[0])} is {values[bad[0]]}"
        )
    keys = [-values[candidates]] if ties is None else [-ties[candidates], -values[candidates]]
    taken = eligible.take(candidates[np.lexsort(keys)])
    positions = taken.positions
    return Choice(positions, [say(v) for v in values[positions]], values[positions], taken.next_in_line)
