"""The questions of an evaluated run with their scores, task by task."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ds2.artifacts.evaluation import Evaluation, read_answered
from ds2.artifacts.run import RunResult

AVERAGE = "average"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Questions:
    """n answered questions, sorted by `keys`."""

    keys: NDArray[np.uint64]
    scores: Array


class Answers:
    """The questions of one evaluated run with their scores, task by task."""

    def __init__(self, run: RunResult) -> None:
        self._stage = run.stages["evaluate"]
        self.evaluation = Evaluation.read(self._stage.path)
        self._questions: dict[str, Questions | None] = {}

    @property
    def tasks(self) -> list[str]:
        """The tasks whose mean is the average: those asked for, else the rows kept apart."""
        asked = self._stage.record["config"].get("eval", {})
        return list(asked.get("tasks", self.evaluation.scores) or asked.get("held_out", ()))

    @property
    def whole(self) -> bool:
        """Whether every task that was asked for has a score."""
        return all(task in self.evaluation.scores for task in self.tasks)

    def value(self, task: str) -> float | None:
        """A task's score, or the average over tasks; None where the run lacks it: an average needs every
        task.
        """
        if task == AVERAGE:
            return self.evaluation.average if self.whole else None
        return self.evaluation.scores.get(task)

    def is_loss(self, task: str) -> bool:
        """Whether a task's score, or the average, is a loss: nats, and less is better."""
        if task == AVERAGE:
            return self.evaluation.average_is_loss
        return task in self.evaluation.scores and self.evaluation.result(task).is_loss

    def stderr(self, task: str) -> float | None:
        """The standard error of a task's score over its questions, or of the average of tasks whose questions
        are drawn apart.
        """
        if task == AVERAGE:
            errors = [self.stderr(name) for name in self.tasks]
            known = [error for error in errors if error is not None]
            return float(np.linalg.norm(known)) / len(errors) if len(known) == len(errors) else None
        return self.evaluation.result(task).stderr

    def questions(self, task: str) -> Questions | None:
        """Its questions, their scores scaled so that the mean is the task's score; None where it is not such
        a mean.
        """
        if task not in self._questions:
            self._questions[task] = self._find(task)
        return self._questions[task]

    def _find(self, task: str) -> Questions | None:
        if self._samples is None:
            return None
        answered = self._samples[self._samples["task"].isin(self._members[task])]
        scores, value = answered["score"].to_numpy(dtype=np.float64), self.evaluation.scores[task]
        if value is None or not len(scores) or np.isnan(scores).any():
            return None
        names = answered["task"].to_numpy(dtype=str)
        _, member, sizes = np.unique(names, return_inverse=True, return_counts=True)
        even = len(answered) / (len(sizes) * sizes[member])
        for weight in (1.0, even):  # every question alike, or every member task alike
            if abs(float((scores * weight).mean()) - value) < 1e-6:
                keys = answered["key"].to_numpy()
                order = np.argsort(keys)
                return Questions(keys[order], (scores * weight)[order])
        return None

    @cached_property
    def _samples(self) -> pd.DataFrame | None:
        """task, score, and a hash of what identifies the question: task, number and target."""
        table = read_answered(self._stage.path, "task", "doc_id", "target", "score")
        if table is None:
            return None
        keys = pd.util.hash_pandas_object(table[["task", "doc_id", "target"]], index=False)
        return table[["task", "score"]].assign(key=keys)

    @cached_property
    def _members(self) -> dict[str, set[str]]:
        """Task -> itself and, of a group, its members: they follow it in the list of results."""
        members: dict[str, set[str]] = {}
        task = ""
        for result in self.evaluation.results:
            task = result.task if result.task in self.evaluation.scores else task
            members.setdefault(task, set()).add(result.task)
        return members
