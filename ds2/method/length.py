"""What an order and a selection owe to the length of the texts.

    l_n       words of sample n's rated text (characters, where the texts have no spaces)
    spearman  rank correlation of the order with l
    left      the variance of the order's ranks within samples of about one length, as a share of all their
              variance: the share of the order that length does not account for
    kept      the share of the order's head, as many as the subset has, that stays its head when each sample
              is compared with samples of about its length only

About one length: the pool is cut by length into at most PARTS parts of equal size, at least FEWEST samples
each.

Long is not bad: people's ratings follow length too (docs/truth.md). These say how much of a choice is length,
not whether it should be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

SPACED = 20
"""More characters a word than this, by the median: texts of a script without spaces."""
PARTS, FEWEST = 20, 20
TENTHS = 10
"""Parts by length of which it is told how many were chosen."""


@dataclass(frozen=True)
class OwedToLength:
    """One order."""

    spearman: float
    left: float
    """Share of the variance of its ranks that length does not account for, 0 to 1."""


@dataclass(frozen=True)
class LengthOfOrders:
    """The given scores and the order made of them; None where one does not vary, or is not there."""

    given: OwedToLength | None
    order: OwedToLength | None


@dataclass(frozen=True)
class Tenth:
    """A tenth of the pool by length, the shortest first."""

    longest: float
    """Length of its longest sample."""
    pool: int
    subset: int


@dataclass(frozen=True)
class LengthOfSubset:
    unit: str
    """`words` or `characters`."""
    orders: LengthOfOrders
    selection: float | None
    """Spearman correlation of being chosen with length; None where all or nothing was chosen."""
    kept: float | None
    """Share of the order's head that stays without length; None where the run has no order."""
    pool: float
    """Median length."""
    subset: float
    tenths: list[Tenth]


def lengths_of(texts: Sequence[str]) -> tuple[Array, str]:
    """(N,) lengths and their unit: words, as white space separates them; characters where it does not."""
    words = np.array([len(text.split()) for text in texts], dtype=np.float64)
    characters = np.array([len(text) for text in texts], dtype=np.float64)
    if len(texts) and float(np.median(characters / np.maximum(words, 1))) > SPACED:
        return characters, "characters"
    return words, "words"


def owed_to_length(order: ArrayLike, lengths: Array) -> OwedToLength | None:
    """What an order (N,), higher first, owes to length; None where either does not vary. NaN: not ordered."""
    values = np.asarray(order, dtype=np.float64)
    known = np.isfinite(values)
    if known.sum() < 3 or np.ptp(values[known]) == 0 or np.ptp(lengths[known]) == 0:
        return None
    ranks, of_length = _ranks(values[known]), lengths[known]
    spearman = float(np.corrcoef(ranks, _ranks(of_length))[0, 1])
    within, parts = _within_parts(ranks, of_length)
    n = len(ranks)
    left = (within**2).sum() / (n - parts) / ranks.var(ddof=1)
    return OwedToLength(spearman, float(min(left, 1.0)))


def length_of_subset(
    lengths: Array,
    unit: str,
    positions: NDArray[np.int64],
    *,
    given: ArrayLike | None = None,
    order: ArrayLike | None = None,
) -> LengthOfSubset:
    """What a subset owes to length.

    lengths (N,); positions: of the chosen. given, order: (N,) the given scores and what the pool was ordered
    by, higher first, NaN where a sample has none; None where the run has none.
    """
    chosen = np.zeros(len(lengths), dtype=bool)
    chosen[positions] = True
    owed = [None if values is None else owed_to_length(values, lengths) for values in (given, order)]
    varies = 0 < chosen.sum() < len(chosen) and np.ptp(lengths) > 0
    selection = float(np.corrcoef(chosen, _ranks(lengths))[0, 1]) if varies else None
    return LengthOfSubset(
        unit=unit,
        orders=LengthOfOrders(*owed),
        selection=selection,
        kept=None if owed[1] is None or order is None else _kept(order, lengths, len(positions)),
        pool=float(np.median(lengths)),
        subset=float(np.median(lengths[positions])),
        tenths=_tenths(lengths, chosen),
    )


def _kept(order: ArrayLike, lengths: Array, count: int) -> float:
    values = np.asarray(order, dtype=np.float64)
    known = np.flatnonzero(np.isfinite(values))
    without, _ = _within_parts(_ranks(values[known]), lengths[known])
    first, second = (np.argsort(-v, kind="stable")[:count] for v in (values[known], without))
    return float(np.isin(first, second).mean())


def _within_parts(ranks: Array, lengths: Array) -> tuple[Array, int]:
    """Ranks less the mean of their part by length, (n,), and the number of parts. Equal lengths stay
    together.
    """
    count = max(1, min(PARTS, len(ranks) // FEWEST))
    edges = np.unique(np.quantile(lengths, np.arange(1, count) / count))
    part = np.unique(np.searchsorted(edges, lengths), return_inverse=True)[1]
    means = np.bincount(part, weights=ranks) / np.bincount(part)
    return ranks - means[part], len(means)


def _tenths(lengths: Array, chosen: NDArray[np.bool_]) -> list[Tenth]:
    order = np.argsort(lengths, kind="stable")
    cut = (rows for rows in np.array_split(order, TENTHS) if len(rows))
    return [Tenth(float(lengths[rows[-1]]), len(rows), int(chosen[rows].sum())) for rows in cut]


def _ranks(values: ArrayLike) -> Array:
    """Ranks from 1, equal values sharing their mean rank."""
    from scipy.stats import rankdata  # its import takes a third of what planning a sweep imports

    return np.asarray(rankdata(values), dtype=np.float64)
