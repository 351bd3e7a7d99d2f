"""The questions of an evaluated run with their scores, task by task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
