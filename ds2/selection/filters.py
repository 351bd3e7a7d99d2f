"""What may enter a subset whatever the strategy: near-duplicates out first, then a budget with caps and
quotas by source.

A cap limits each source; a quota fixes a source, and the sources without one share what is left. Both are
limits while a ranking is walked: a sample whose source is full is passed over, the next one comes up. So
the subset is the best one (in the ranking's sense) that obeys them, and quotas are met exactly or refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import UserError
from ds2.config.selection import FilterConfig, FilteredSelectionConfig
from ds2.method.spread import keep_apart
from ds2.selection.request import Request, resolve_budget

NEXT = 10
"""Samples next in line that a choice names."""


@dataclass(frozen=True)
class Taken:
    """The head of a ranking under the filters."""

    positions: NDArray[np.int64]
    next_in_line: NDArray[np.int64]


class Eligible:
    """The samples that a request may choose from, and how many it must choose.

    Args:
        allowed: (N,) further condition of the strategy, such as having a score; `that` names it ("that have
            a score").
        everything: choose all that is eligible, whatever the budget; source limits then refer to that
            number and only cut.

    Raises:
        UserError: a filter out of range, a source that the pool lacks, or a budget over what is left.
    """

    def __init__(
        self,
        request: Request[FilteredSelectionConfig],
        allowed: NDArray[np.bool_] | None = None,
        that: str = "that have a score",
        *,
        everything: bool = False,
    ) -> None:
        config = request.config
        self._filter = config.filter
        mask = np.ones(request.pool_size, dtype=np.bool_) if allowed is None else allowed.copy()
        if config.filter.near_duplicates is not None:
            mask &= distinct(request, config.filter.near_duplicates)
            also = f"that are left by selection.filter.near_duplicates={config.filter.near_duplicates:g}"
            that = also if allowed is None else f"{that} and {also}"
        self.mask = mask
        """(N,) whether a sample may be chosen."""
        available = int(mask.sum())
        if everything and available == 0:
            raise UserError(f"none of {request.pool_size} samples is among those {that}")
        self.count = (
            available
            if everything
            else resolve_budget(request.budget, available, pool_size=request.pool_size, that=that)
        )
        """Samples to choose."""
        limited = config.filter.source_cap is not None or bool(config.filter.source_quota)
        self._everything = everything
        self.limits = SourceLimits(config.filter, request.pool.sources, self.count) if limited else None

    def take(self, order: NDArray[np.int64]) -> Taken:
        """The first `count` eligible samples of a ranking that the source limits admit.

        Raises:
            UserError: the limits admit fewer.
        """
        order = order[self.mask[order]]
        if self.limits is None:
            return Taken(order[: self.count], order[self.count : self.count + NEXT])
        admitted = self.limits.admitted(order)
        self.check_full(len(admitted))
        taken = admitted[: self.count]
        last = int(np.flatnonzero(order == taken[-1])[0])
        return Taken(taken, order[last + 1 : last + 1 + NEXT])

    def check_full(self, count: int) -> None:
        """Raises UserError where the source limits leave fewer samples than the budget."""
        if count < self.count and not self._everything:
            names = [f"source_cap={self._filter.source_cap:g}"] if self._filter.source_cap is not None else []
            names += ["source_quota"] if self._filter.source_quota else []
            raise UserError(
                f"selection.filter.{' and '.join(names)} admits only {count} of the {self.count} samples "
                "asked for; loosen it, or lower budget.samples"
            )


class SourceLimits:
    """How many samples of each source a subset of `count` may hold.

    Raises:
        UserError: a limit out of range, a source that the pool lacks, or quotas over the budget.
    """

    def __init__(self, config: FilterConfig, sources: list[str], count: int) -> None:
        names, codes = np.unique(np.asarray(sources, dtype=object).astype(str), return_inverse=True)
        cap = count if config.source_cap is None else _amount(config.source_cap, count, "source_cap")
        limits = dict.fromkeys(names.tolist(), cap)
        quota = {entry.source: entry.samples for entry in config.source_quota}
        for name, share in quota.items():
            if name not in limits:
                known = ", ".join(names.tolist()[:20])
                raise UserError(
                    f"selection.filter.source_quota.{name}: the pool has no such source; there are: {known}"
                )
            limits[name] = _amount(share, count, f"source_quota.{name}")
        promised = sum(limits[name] for name in quota)
        if promised > count:
            raise UserError(
                f"selection.filter.source_quota asks for {promised} samples, the budget is {count}"
            )
        self._codes = codes.ravel()
        self._limit = np.array([limits[name] for name in names.tolist()], dtype=np.int64)
        self._shared = np.array([name not in quota for name in names.tolist()])
        self._shared_left = count - promised
        self._left = self._limit.copy()

    def admitted(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """The samples of a ranking that `admit` would take one after the other."""
        codes = self._codes[order]
        keep = _rank_within(codes) < self._limit[codes]
        order, codes = order[keep], codes[keep]
        shared = self._shared[codes]
        return order[~shared | (np.cumsum(shared) <= self._shared_left)]

    def admit(self, n: int) -> bool:
        """Whether sample n still fits; it is counted if it does."""
        code = self._codes[n]
        if self._left[code] <= 0 or (self._shared[code] and self._shared_left <= 0):
            return False
        self._left[code] -= 1
        self._shared_left -= int(self._shared[code])
        return True


def distinct(request: Request[FilteredSelectionConfig], similarity: float) -> NDArray[np.bool_]:
    """(N,) False for samples that are as similar as that to an earlier row that stays.

    Raises:
        UserError: a similarity outside (0, 1].
    """
    if not 0 < similarity <= 1:
        raise UserError(
            f"selection.filter.near_duplicates={similarity:g} must be a cosine similarity in (0, 1]"
        )
    rows = np.arange(request.pool_size)
    kept = np.zeros(request.pool_size, dtype=np.bool_)
    kept[keep_apart(rows, request.graph, 1.0 - similarity, embeddings=request.embeddings)] = True
    return kept


def _amount(value: float, count: int, name: str) -> int:
    """A number of samples, or a share of the budget, as a number."""
    if not math.isfinite(value) or value < 0 or (value >= 1 and value != int(value)):
        raise UserError(
            f"selection.filter.{name}={value:g} must be a number of samples, or a share of the budget below 1"
        )
    return int(value) if value >= 1 else round(value * count)


def _rank_within(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each entry, how many earlier entries have its code."""
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    rank = np.empty(len(codes), dtype=np.int64)
    rank[order] = np.arange(len(codes)) - starts
    return rank
