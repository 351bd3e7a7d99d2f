"""A budget of tokens: the most samples of a strategy's choice whose assistant tokens fit into it.

The strategy is asked for n samples, n found by halving: whatever it ranks, covers or draws is what it would
choose if it were asked for that many. About log2(N) choices are made.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import UserError
from ds2.config import SelectionConfig
from ds2.selection import choose
from ds2.selection.request import Choice, Request

C = TypeVar("C", bound=SelectionConfig)


def fill(request: Request[C], counts: NDArray[np.int64], most: int) -> tuple[Choice, int]:
    """The choice, and its tokens, at most `most`.

    Args:
        counts: (N,) assistant tokens of each sample.

    Raises:
        UserError: the first sample does not fit, or the strategy cannot choose even one.
    """
    best = choose(replace(request, budget=1.0))
    if _tokens(best, counts) > most:
        raise UserError(
            f"budget.tokens={most}: the first sample that selection={request.config.name} chooses has "
            f"{_tokens(best, counts)} assistant tokens; raise it"
        )
    low, high = 1, _bound(counts, most) + 1  # low fits, high does not
    while high - low > 1:
        middle = (low + high) // 2
        try:
            choice = choose(replace(request, budget=float(middle)))
        except UserError:  # more than it can choose from: one sample it could, so fewer it can
            high = middle
            continue
        if _tokens(choice, counts) <= most:
            best, low = choice, middle
        else:
            high = middle
    return best, _tokens(best, counts)


def _tokens(choice: Choice, counts: NDArray[np.int64]) -> int:
    return int(counts[choice.positions].sum())


def _bound(counts: NDArray[np.int64], most: int) -> int:
    """The most samples that could fit: the shortest ones."""
    return max(int(np.searchsorted(np.cumsum(np.sort(counts)), most, side="right")), 1)
