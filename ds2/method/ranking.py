"""Selection by score.

The paper's order: by score, then by long-tail score, both descending, remaining ties by row index ascending;
take the budget. Only the last score level entered is cut by the long-tail score: every higher level is taken
whole (DS2, section 4.3). A refined order (`refine`) has no ties to cut but of rows that nothing tells apart.
"""

from __future__ import annotations

import operator
from typing import Any, Protocol, overload, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds2.base.checks import number_array
from ds2.base.errors import UserError


@runtime_checkable
class Curated(Protocol):
    """What `curate` returns, as far as an order needs it; each (N,)."""

    @property
    def curated(self) -> NDArray[np.int64]: ...
    @property
    def long_tail(self) -> NDArray[np.float64]: ...
    @property
    def refined(self) -> NDArray[np.float64] | None: ...


def order_values(
    curated: NDArray[Any], long_tail: NDArray[np.float64], refined: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """(N,) numbers in the order of `select(result, budget)`, higher first, equal where it leaves rows equal;
    NaN without a score. curated (N,), -1 without a score; refined (N,) where there is one.
    """
    if refined is not None:
        return np.asarray(refined, dtype=np.float64)
    pairs = np.stack([curated.astype(np.float64), long_tail], axis=1)
    place = np.unique(pairs, axis=0, return_inverse=True)[1].astype(np.float64)
    return np.where(curated >= 0, place.reshape(-1), np.nan)


@overload
def select(scores: Curated, long_tail: None = None, *, budget: int) -> NDArray[np.int64]: ...
@overload
def select(scores: Curated, long_tail: int) -> NDArray[np.int64]: ...
@overload
def select(scores: ArrayLike, long_tail: ArrayLike, budget: int) -> NDArray[np.int64]: ...
def select(
    scores: ArrayLike | Curated, long_tail: ArrayLike | int | None = None, budget: int | None = None
) -> NDArray[np.int64]:
    """Rows of the `budget` best samples, best first, (budget,) int64.

    `select(result, budget)` takes a result of `curate` in its own order: the refined one where it has one,
    else curated score, then long-tail score. `select(scores, long_tail, budget)` takes (N,) scores, curated
    or soft ones (a posterior mean), and an (N,) tie-breaker, higher first. Equal pairs keep row order, so the
    result is the same everywhere and a smaller budget is a prefix of a larger one.

    ValueError: budget below 1 or above N, NaN, or arrays that are not (N,) both; TypeError: what is not a
    number, or a budget that is not an integer.
    """
    if isinstance(scores, Curated):
        if budget is not None and long_tail is not None:
            raise TypeError("select(result, budget) takes no long_tail: a result has its own order")
        budget = long_tail if budget is None else budget  # type: ignore[assignment]
        result = scores
        scores, long_tail = result.curated, result.long_tail
        if result.refined is not None:
            scores, long_tail = result.refined, np.zeros(len(result.refined))
    if long_tail is None or budget is None:
        raise TypeError("select takes a result and a budget, or scores, long_tail and a budget")
    first, second = number_array("scores", scores), number_array("long_tail", long_tail)
    if first.ndim != 1 or first.shape != second.shape:
        raise UserError(
            f"scores and long_tail must be (N,) arrays of one length, got {first.shape} and {second.shape}"
        )
    try:
        count = operator.index(budget)
    except TypeError:
        raise TypeError(f"budget must be an integer number of samples, got {budget!r}") from None
    if not 1 <= count <= len(first):
        raise UserError(f"budget must be between 1 and the pool's {len(first)} samples, got {count}")
    for name, values in (("scores", first), ("long_tail", second)):
        bad = np.flatnonzero(np.isnan(values.astype(np.float64)))
        if bad.size:
            raise UserError(f"{name} is NaN at row {int(bad[0])}")
    order = np.lexsort((-second.astype(np.float64), -first.astype(np.float64)))  # stable: ties by row
    rows: NDArray[np.int64] = order[:count].astype(np.int64)
    return rows
