"""The subset that represents the pool best: facility location over the graph.

    f(S) = sum over samples n of max over m in S of w(n, m)
    w(n, n) = 1,  w(n, m) = 1 - D(n, m) for m among the k nearest neighbours of n, else 0

f is monotone and submodular, so taking the sample of largest gain again and again reaches at least 1 - 1/e of the best
possible f (Nemhauser, Wolsey and Fisher 1978). A sample taken changes the gains of few others, and those are kept up to date.
Similarities are counted in whole millionths: sums are exact and the subset is the same on every machine. Ties by row.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from ds2.config import SelectionConfig
from ds2.errors import UserError
from ds2.knn import KnnGraph
from ds2.selection.config import FacilityLocationSelectionConfig
from ds2.selection.filters import NEXT, Eligible
from ds2.selection.request import Choice, Request

CONFIG = FacilityLocationSelectionConfig
NEEDS: frozenset[str] = frozenset({"knn"})
_UNIT = 1_000_000
_NEVER = -1
"""Gain of a sample that cannot be taken: gains themselves are never negative."""


def budgeted(config: SelectionConfig) -> bool:
    """Always."""
    return True


def seeded(config: SelectionConfig) -> bool:
    """Never."""
    return False


def choose(request: Request) -> Choice:
    """The `budget` samples of largest gain, in the order taken; a smaller budget is a prefix of a larger one."""
    k, graph = cast(FacilityLocationSelectionConfig, request.config).k, request.graph
    if not 1 <= k <= graph.k:
        raise UserError(f"selection.k={k}: the graph stores {graph.k} neighbours; lower it, or raise knn.k")
    eligible = Eligible(request)
    cover = Cover(graph, k)
    cover.gains[~eligible.mask] = _NEVER
    positions: list[int] = []
    values: list[float] = []
    while len(positions) < eligible.count:
        n = int(cover.gains.argmax())
        gain = int(cover.gains[n])
        if gain == _NEVER:
            break
        cover.gains[n] = _NEVER
        if eligible.limits and not eligible.limits.admit(n):
            continue
        cover.take(n)
        positions.append(n)
        values.append(gain / _UNIT)
    eligible.check_full(len(positions))
    following = np.argsort(-cover.gains, kind="stable")[:NEXT]
    following = following[cover.gains[following] > _NEVER]
    reasons = [f"stands for {value:.2f} samples not covered before" for value in values]
    return Choice(np.array(positions, dtype=np.int64), reasons, np.array(values), following)


class Cover:
    """How well each sample is stood for, and what every other sample would add, kept exact after each sample taken.

    `gains` (N,): f(S and n) - f(S) in millionths. An entry set to `_NEVER` stays there.
    """

    def __init__(self, graph: KnnGraph, k: int) -> None:
        count = graph.num_samples
        own = np.arange(count)[:, None]
        similarity = 1.0 - np.asarray(graph.distances[:, :k], dtype=np.float64)
        weight = np.rint(similarity * _UNIT).astype(np.int64).clip(min=0)
        self._able = np.concatenate([own, np.asarray(graph.neighbors[:, :k], dtype=np.int64)], axis=1)
        """(N, k + 1) the samples that can stand for n, itself first."""
        self._weight = np.concatenate([np.full((count, 1), _UNIT), weight], axis=1)
        """(N, k + 1) w(n, m) in millionths."""
        entries = np.argsort(self._able, axis=None, kind="stable")
        self._members = entries // (k + 1)
        """Samples that m can stand for, m after m: those of m from start[m] to start[m + 1]."""
        self._offered = self._weight.ravel()[entries]
        counts = np.bincount(self._able.ravel(), minlength=count)
        self._start = np.concatenate([[0], np.cumsum(counts)])
        self._best = np.zeros(count, dtype=np.int64)
        self.gains = np.add.reduceat(self._offered, self._start[:-1])

    def take(self, n: int) -> None:
        """Let sample n stand for those that it serves better than any before."""
        own = slice(self._start[n], self._start[n + 1])
        members, offered = self._members[own], self._offered[own]
        better = offered > self._best[members]
        members, after = members[better], offered[better]
        before = self._best[members]
        self._best[members] = after
        weight, able = self._weight[members], self._able[members]
        lost = np.maximum(weight - before[:, None], 0) - np.maximum(weight - after[:, None], 0)
        open_ = self.gains[able] > _NEVER
        np.subtract.at(self.gains, able[open_], lost[open_])
