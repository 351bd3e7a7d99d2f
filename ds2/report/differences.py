"""Differences between two methods, with a paired bootstrap interval.

Run i of one method and run i of the other share their seed. Where both kept their answers to the same
questions, the difference is taken question by question: d_i (n,), for each of S pairs of runs. A resample
draws S pairs with replacement and n questions with replacement, the same ones for every pair (what unshared
questions then have in common is chance); its value is the mean of what it drew. Without shared questions the
pairs alone are drawn. The interval is the middle 95 % of the resamples. How often each of n questions is
drawn does not depend on the runs, so all comparisons of a table share these draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ds2.report.answers import AVERAGE, Answers, Array

RESAMPLES = 2000


@dataclass(frozen=True)
class Difference:
    """How far two methods are apart on one task, in the task's unit."""

    value: float
    low: float
    high: float
    pairs: int
    """Pairs of runs, one a seed."""
    over: str
    """What was resampled: `questions`, `seeds and questions`, or `seeds`."""

    @property
    def clear(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


BySeed = Mapping[int | None, Answers]
"""The runs of a method.

None: its only run (a base model has no seed), which is paired with every run of another.
"""


def difference(ours: BySeed, theirs: BySeed, task: str) -> Difference | None:
    """Ours minus theirs on a task or the average; None where no two runs share a seed, or where one pair has
    no answers to resample.
    """
    pairs, gaps = [], []
    for a, b in _pairs(ours, theirs):
        first, second = a.value(task), b.value(task)
        if first is not None and second is not None:
            pairs.append((a, b))
            gaps.append(first - second)
    if not pairs:
        return None
    values = np.array(gaps)
    rng = np.random.default_rng(0)
    tasks = pairs[0][0].tasks if task == AVERAGE else [task]
    per_task = [_resampled_questions(pairs, name) for name in tasks]
    known = [means for means in per_task if means is not None]
    if len(known) == len(tasks):
        means, over = np.mean(known, axis=0), "questions" if len(pairs) == 1 else "seeds and questions"
    elif len(pairs) > 1:
        means, over = np.broadcast_to(values, (RESAMPLES, len(pairs))), "seeds"
    else:
        return None
    drawn = rng.multinomial(len(pairs), np.full(len(pairs), 1 / len(pairs)), size=RESAMPLES)
    low, high = np.quantile((means * drawn).sum(axis=1) / len(pairs), [0.025, 0.975])
    return Difference(float(values.mean()), float(low), float(high), len(pairs), over)


def _pairs(ours: BySeed, theirs: BySeed) -> list[tuple[Answers, Answers]]:
    if None in theirs:
        return [(run, theirs[None]) for run in ours.values()]
    if None in ours:
        return [(ours[None], run) for run in theirs.values()]
    return [(run, theirs[seed]) for seed, run in ours.items() if seed in theirs]


def _resampled_questions(pairs: Sequence[tuple[Answers, Answers]], task: str) -> Array | None:
    """(RESAMPLES, S) means of each pair's differences over resampled questions; None where some pair shares
    no questions.
    """
    means = []
    for first, second in pairs:
        a, b = first.questions(task), second.questions(task)
        if a is None or b is None or not np.array_equal(a.keys, b.keys):
            return None
        means.append(_drawn(len(a.keys)) @ (a.scores - b.scores).astype(np.float32) / len(a.keys))
    return np.stack(means, axis=1).astype(np.float64)


@lru_cache(maxsize=8)
def _drawn(n: int) -> NDArray[np.float32]:
    """(RESAMPLES, n): how often a resample of n questions draws each."""
    rows = np.random.default_rng(n).integers(0, n, size=(RESAMPLES, n))
    cells = rows + n * np.arange(RESAMPLES)[:, None]
    return np.bincount(cells.ravel(), minlength=RESAMPLES * n).reshape(RESAMPLES, n).astype(np.float32)
