"""Differences between two methods, with a paired bootstrap interval.

Run i of one method and run i of the other share their seed. Where both kept their answers to the same questions, the difference is
taken question by question: d_i (n,), for each of S pairs of runs. A resample draws S pairs with replacement and n questions with
replacement, the same ones for every pair (what unshared questions then have in common is chance); its value is the mean of what it
drew. Without shared questions the pairs alone are drawn. The interval is the middle 95 % of the resamples. How often each of n questions
is drawn does not depend on the runs, so all comparisons of a table share these draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ds2.artifacts import RunResult

RESAMPLES = 2000
AVERAGE = "average"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """Of two methods on one task, in the task's unit."""

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


@dataclass(frozen=True)
class Questions:
    """n answered questions, sorted by `keys`."""

    keys: NDArray[np.uint64]
    scores: Array


class Answers:
    """The questions of one evaluated run with their scores, task by task."""

    def __init__(self, run: RunResult) -> None:
        self._evaluation = run.stages["evaluate"]
        self.content: Mapping[str, Any] = self._evaluation.json("results.json")
        self._questions: dict[str, Questions | None] = {}

    @property
    def tasks(self) -> list[str]:
        """The tasks whose mean is the average."""
        asked = self._evaluation.record.get("config", {}).get("eval", {}).get("tasks", self.content["scores"])
        return list(asked)

    @property
    def whole(self) -> bool:
        """Whether every task that was asked for has a score."""
        return all(task in self.content["scores"] for task in self.tasks)

    def value(self, task: str) -> float | None:
        """A task's score, or the average over tasks; None where the run lacks it: an average needs every task."""
        if task == AVERAGE:
            found = self.content["average"] if self.whole else None
        else:
            found = self.content["scores"].get(task)
        return None if found is None else float(found)

    def stderr(self, task: str) -> float | None:
        """The standard error of a task's score over its questions, or of the average of tasks whose questions are drawn apart."""
        if task == AVERAGE:
            errors = [self.stderr(name) for name in self.tasks]
            known = [error for error in errors if error is not None]
            return float(np.linalg.norm(known)) / len(errors) if len(known) == len(errors) else None
        error: float | None = next(row["stderr"] for row in self.content["results"] if row["task"] == task)
        return error

    def questions(self, task: str) -> Questions | None:
        """Its questions, their scores scaled so that the mean is the task's score; None where it is not such a mean."""
        if task not in self._questions:
            self._questions[task] = self._find(task)
        return self._questions[task]

    def _find(self, task: str) -> Questions | None:
        if self._samples is None:
            return None
        own = self._samples[self._samples["task"].isin(self._members[task])]
        scores = own["score"].to_numpy(dtype=np.float64)
        if not len(scores) or np.isnan(scores).any():
            return None
        _, member, sizes = np.unique(own["task"].to_numpy(dtype=str), return_inverse=True, return_counts=True)
        even = len(own) / (len(sizes) * sizes[member])
        for weight in (1.0, even):  # every question alike, or every member task alike
            if abs(float((scores * weight).mean()) - self.content["scores"][task]) < 1e-6:
                order = np.argsort(own["key"].to_numpy())
                return Questions(own["key"].to_numpy()[order], (scores * weight)[order])
        return None

    @cached_property
    def _samples(self) -> pd.DataFrame | None:
        """task, score, and a hash of what identifies the question: task, number and target."""
        path = self._evaluation.path / "samples.parquet"
        if not path.is_file():
            return None
        table = pd.read_parquet(path, columns=["task", "doc_id", "target", "score"])
        keys = pd.util.hash_pandas_object(table[["task", "doc_id", "target"]], index=False)
        return table[["task", "score"]].assign(key=keys)

    @cached_property
    def _members(self) -> dict[str, set[str]]:
        """Task -> itself and, of a group, its members: they follow it in the list of results."""
        members: dict[str, set[str]] = {}
        task = ""
        for row in self.content["results"]:
            task = row["task"] if row["task"] in self.content["scores"] else task
            members.setdefault(task, set()).add(row["task"])
        return members


BySeed = Mapping[int | None, Answers]
"""The runs of a method. None: its only run (a base model has no seed), which is paired with every run of another."""


def difference(ours: BySeed, theirs: BySeed, task: str) -> Difference | None:
    """Ours minus theirs on a task or the average; None where no two runs share a seed, or where one pair has no answers to resample."""
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
    """(RESAMPLES, S) means of each pair's differences over resampled questions; None where some pair shares no questions."""
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
