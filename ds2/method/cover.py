"""Facility location over the graph:

    f(S) = sum over samples n of max over m in S of w(n, m)
    w(n, n) = 1,  w(n, m) = 1 - D(n, m) for m among the k nearest neighbours of n, else 0

Similarities are counted in whole millionths: sums are exact and the subset is the same on every machine.
"""

from __future__ import annotations

import numpy as np

from ds2.method.knn import KnnGraph

UNIT = 1_000_000
NEVER = -1
"""Gain of a sample that cannot be taken: gains themselves are never negative."""


class Cover:
    """How well each sample is stood for, and what every other sample would add, kept exact after each
    sample taken.

    `gains` (N,): f(S and n) - f(S) in millionths. An entry set to `NEVER` stays there.
    """

    def __init__(self, graph: KnnGraph, k: int) -> None:
        count = graph.num_samples
        itself = np.arange(count)[:, None]
        similarity = 1.0 - np.asarray(graph.distances[:, :k], dtype=np.float64)
        weight = np.rint(similarity * UNIT).astype(np.int64).clip(min=0)
        self._able = np.concatenate([itself, np.asarray(graph.neighbors[:, :k], dtype=np.int64)], axis=1)
        """(N, k + 1) the samples that can stand for n, itself first."""
        self._weight = np.concatenate([np.full((count, 1), UNIT), weight], axis=1)
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
        entries = slice(self._start[n], self._start[n + 1])
        members, offered = self._members[entries], self._offered[entries]
        better = offered > self._best[members]
        members, after = members[better], offered[better]
        before = self._best[members]
        self._best[members] = after
        weight, able = self._weight[members], self._able[members]
        lost = np.maximum(weight - before[:, None], 0) - np.maximum(weight - after[:, None], 0)
        open_ = self.gains[able] > NEVER
        np.subtract.at(self.gains, able[open_], lost[open_])
