"""The rows of a table of runs: which run stands where, and that no two runs claim one place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ds2.artifacts.run import RunResult
from ds2.base.dataclass_json import to_plain
from ds2.base.errors import UserError
from ds2.base.words import measured
from ds2.config import RunConfig
from ds2.report.answers import Answers


@dataclass(frozen=True)
class Published:
    """A number that the paper's authors printed, in points."""

    value: float
    std: float | None = None
    second_hand: bool = False

    def __str__(self) -> str:
        return measured(self.value, self.std) + ("*" if self.second_hand else "")


@dataclass
class Row:
    """The runs of one row."""

    runs: dict[int, RunResult] = field(default_factory=dict)
    """By seed."""
    waiting: list[str] = field(default_factory=list)
    """States of those that are not done."""

    @cached_property
    def answers(self) -> dict[int | None, Answers]:
        """The answers of each run; that of a model which was not fine-tuned has no seed, and stands beside
        every one of another row.
        """
        alone = len(self.runs) == 1 and not self.waiting
        return {
            None if alone and "finetune" not in run.stages else seed: Answers(run)
            for seed, run in self.runs.items()
        }

    def add(self, run: RunResult) -> None:
        """Put a run at its seed; one that is there already (a base model has no seed) counts once.

        Raises:
            UserError: another run stands there.
        """
        evaluated = run.stages["evaluate"].fingerprint
        if any(other.stages["evaluate"].fingerprint == evaluated for other in self.runs.values()):
            return
        there = self.runs.setdefault(run.config.seed, run)
        if there is not run:
            raise UserError(
                f"two runs claim one cell, {there.name}: {there.fingerprint} and {run.fingerprint} differ in "
                f"{apart(there.config, run.config)}; leave one out"
            )

    @property
    def state(self) -> str:
        """What a cell without a value says: what most of the runs that wait are."""
        return Counter(self.waiting).most_common(1)[0][0] if self.waiting else "missing"

    @property
    def seeds(self) -> str:
        """`2 of 3`: runs with every task, of those expected."""
        done, expected = (
            sum(answers.whole for answers in self.answers.values()),
            len(self.runs) + len(self.waiting),
        )
        return f"{done} of {expected}" if done < expected else str(done)


def apart(first: RunConfig, second: RunConfig) -> str:
    """In what the configurations of two runs of one cell differ: `finetune.rank (8, 4)`."""
    a, b = _flat(to_plain(first)), _flat(to_plain(second))
    keys = [k for k in sorted(a.keys() | b.keys()) if a.get(k) != b.get(k) and "runtime" not in k]
    return ", ".join(f"{k} ({a.get(k)}, {b.get(k)})" for k in keys) or "the content of their inputs"


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {prefix.rstrip("."): value}
    return {k: v for name, item in value.items() for k, v in _flat(item, f"{prefix}{name}.").items()}


def task_names(tasks: Sequence[str]) -> dict[str, str]:
    """Task -> its name in tables, pages and metrics: without `paper_`, unless another task has that name."""
    return {task: task if (short := task.removeprefix("paper_")) in tasks else short for task in tasks}
