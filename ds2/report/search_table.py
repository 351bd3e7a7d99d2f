"""The trials of a search as a table, and what its winner is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from ds2.config.search import Direction, Scalar, Search, as_text
from ds2.report.answers import Answers
from ds2.report.differences import difference
from ds2.report.table_text import BEST, Table


class TrialRow(Protocol):
    """What the table reads of a trial."""

    @property
    def number(self) -> int: ...
    @property
    def chosen(self) -> Mapping[str, Scalar]: ...
    @property
    def values(self) -> Mapping[int, float]: ...
    @property
    def state(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def value(self) -> float | None: ...


def trial_table(trials: Sequence[TrialRow], search: Search, best: TrialRow, title: str) -> Table:
    """A row a trial: its choices, its value in points at each rung, how it ended; the best one in bold."""
    rungs = ["rung " + " ".join(as_text(values[rung]) for values in search.rungs.values())
             for rung in range(search.heights)] if search.rungs else [search.metric]  # fmt: skip
    lines, marks = [], {}
    for at, trial in enumerate(trials):
        line: dict[str, object] = {"trial": at + 1}
        line |= {key: trial.chosen.get(key) for key in search.space}
        line |= {name: 100 * trial.values[rung] if rung in trial.values else None
                 for rung, name in enumerate(rungs)}  # fmt: skip
        lines.append(line | {"state": trial.state, "seconds": trial.seconds})
        if trial is best:
            marks[at, rungs[-1]] = BEST
    frame = pd.DataFrame(lines)
    text = pd.DataFrame(
        [
            [
                _cell(value, points=name in rungs, whole=name in ("trial", "seconds"))
                for name, value in line.items()
            ]
            for line in lines
        ],
        columns=list(frame.columns),
        dtype=object,
    )
    caption = f"{title}: {search.metric} in points, {search.direction.value}d"
    right = ("trial", *rungs, "seconds")
    return Table("trials", frame, caption, shown=text, marks=marks, right=right)


def _cell(value: object, *, points: bool, whole: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and (points or whole):
        return f"{value:.1f}" if points else f"{value:.0f}"
    return as_text(value) if isinstance(value, bool | int | float | str) else str(value)


@dataclass(frozen=True)
class Confirmation:
    """The winner and the default where the search did not look."""

    ours: Mapping[int | None, Answers]
    theirs: Mapping[int | None, Answers]
    search: Search
    best: TrialRow
    default: TrialRow

    def lines(self) -> list[str]:
        """What came out, with its interval, and whether that is a reason to leave the default."""
        if not (self.ours and self.theirs):
            return ["Neither it nor the default could be run on other seeds: not judged."]
        metric = self.search.metric
        ours, theirs = _mean(self.ours, metric), _mean(self.theirs, metric)
        assert self.best.value is not None
        assert self.default.value is not None
        found, seeds = self.best.value - self.default.value, ", ".join(map(str, self.ours))
        lines = [
            f"In the search: {100 * self.best.value:.1f}, the default {100 * self.default.value:.1f} "
            f"({100 * found:+.1f}). On seeds that it did not see ({seeds}): {100 * ours:.1f}, the default "
            f"{100 * theirs:.1f}."
        ]
        gap = difference(self.ours, self.theirs, metric)
        if gap is None:
            return [*lines, "One run of each has no interval: give search.confirm.seeds several."]
        better = gap.low > 0 if self.search.direction is Direction.maximize else gap.high < 0
        worse = gap.clear and not better
        verdict = "it is better than the default there" if better else (
            "it is worse than the default there: keep the default" if worse
            else "it cannot be told from the default: keep the default"
        )  # fmt: skip
        lines.append(
            f"Difference there {100 * gap.value:+.1f} [{100 * gap.low:+.1f}, {100 * gap.high:+.1f}] (middle "
            f"95 % of a paired bootstrap over {gap.over}, {gap.pairs} seeds): {verdict}."
        )
        return lines


def _mean(runs: Mapping[int | None, Answers], metric: str) -> float:
    return float(np.mean([value for each in runs.values() if (value := each.value(metric)) is not None]))
