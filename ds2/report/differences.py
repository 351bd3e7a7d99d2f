"""Differences between two methods, paired, with a 95 % interval.

Run s of one method and run s of the other share their seed; where both kept their answers to the same
questions, d_sq is the difference on question q. Two things would come out otherwise another time: the seeds
(S pairs, the variance of whose gaps g_s is known from few of them) and the questions (n, the variance of
whose d_q, mean over the pairs, is known well). The mean gap has the variance

    V = Var(g) / S + Var(d_q) / n,

the second term alone for one pair, the first alone where answers were not kept; of an average of T tasks the
second is the sum over tasks / T^2. The interval is Student's, +- t sqrt(V), with Satterthwaite's degrees of
freedom. Both terms hold the noise that is a seed's and a question's at once: where seeds differ little it is
wider than need be. Of planted methods without a difference it leaves 0 out in 1 to 7 % with three seeds or
more, and in up to 10 % with two; a bootstrap over few seeds, which knows no t, does so in 8 to 30 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from ds2.report.answers import AVERAGE, Answers

LEVEL = 0.95
"""Of an interval."""


@dataclass(frozen=True)
class Difference:
    """How far two methods are apart on one task, in the task's unit."""

    value: float
    low: float
    high: float
    pairs: int
    """Pairs of runs, one a seed."""
    over: str
    """What the interval knows of: `questions`, `seeds and questions`, or `seeds`."""

    @property
    def clear(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


BySeed = Mapping[int | None, Answers]
"""The runs of a method.

None: its only run (a base model has no seed), which is paired with every run of another.
"""


class _Variance(NamedTuple):
    """Of a mean, as it was estimated."""

    value: float
    freedom: int
    """Degrees of."""


def difference(ours: BySeed, theirs: BySeed, task: str, *, level: float = LEVEL) -> Difference | None:
    """Ours minus theirs on a task or the average; None where no two runs share a seed, or where one pair has
    no answers.
    """
    pairs, gaps = [], []
    for a, b in _pairs(ours, theirs):
        first, second = a.value(task), b.value(task)
        if first is not None and second is not None:
            pairs.append((a, b))
            gaps.append(first - second)
    if not pairs:
        return None
    several = len(pairs) > 1
    of_seeds = [_Variance(float(np.var(gaps, ddof=1)) / len(gaps), len(gaps) - 1)] if several else []
    tasks = pairs[0][0].tasks if task == AVERAGE else [task]
    known = [found for name in tasks if (found := _of_questions(pairs, name)) is not None]
    if len(known) == len(tasks):
        of_questions = [_Variance(each.value / len(tasks) ** 2, each.freedom) for each in known]
        over = "seeds and questions" if several else "questions"
    elif several:
        of_questions, over = [], "seeds"
    else:
        return None
    value, half = float(np.mean(gaps)), _half_width([*of_seeds, *of_questions], level)
    return Difference(value, value - half, value + half, len(pairs), over)


def _half_width(parts: Sequence[_Variance], level: float) -> float:
    """Of Student's interval around a mean whose variance is the sum of these."""
    whole = sum(part.value for part in parts)
    if whole == 0:
        return 0.0
    freedom = whole**2 / sum(part.value**2 / part.freedom for part in parts)
    return float(stdtrit(freedom, (1 + level) / 2) * np.sqrt(whole))


def _pairs(ours: BySeed, theirs: BySeed) -> list[tuple[Answers, Answers]]:
    if None in theirs:
        return [(run, theirs[None]) for run in ours.values()]
    if None in ours:
        return [(ours[None], run) for run in theirs.values()]
    return [(run, theirs[seed]) for seed, run in ours.items() if seed in theirs]


def _of_questions(pairs: Sequence[tuple[Answers, Answers]], task: str) -> _Variance | None:
    """What the choice of questions adds to the variance of the mean gap; None where some pair shares no
    questions.
    """
    gaps, keys = [], []
    for first, second in pairs:
        a, b = first.questions(task), second.questions(task)
        if a is None or b is None or not np.array_equal(a.keys, b.keys) or len(a.keys) < 2:
            return None
        gaps.append(a.scores - b.scores)
        keys.append(a.keys)
    if all(np.array_equal(each, keys[0]) for each in keys):
        gaps = [np.mean(gaps, axis=0)]
    of_each = [float(np.var(gap, ddof=1)) / len(gap) for gap in gaps]
    return _Variance(sum(of_each) / len(gaps) ** 2, sum(len(gap) for gap in gaps) - len(gaps))
