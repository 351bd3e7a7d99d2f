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
from ds2.report.units import NATS, POINTS, Unit


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


def unit_of(search: Search) -> Unit:
    """What is maximised is shown in points; what is minimised is a loss, in nats."""
    return POINTS if search.direction is Direction.maximize else NATS


def trial_table(trials: Sequence[TrialRow], search: Search, best: TrialRow, title: str) -> Table:
    """A row a trial: its choices, its value at each rung, how it ended; the best one in bold."""
    rungs = ["rung " + " ".join(as_text(values[rung]) for values in search.rungs.values())
             for rung in range(search.heights)] if search.rungs else [search.metric]  # fmt: skip
    unit, lines, marks = unit_of(search), [], {}
    for at, trial in enumerate(trials):
        line: dict[str, object] = {"trial": at + 1}
        line |= {key: trial.chosen.get(key) for key in search.space}
        line |= {name: unit.scale * trial.values[rung] if rung in trial.values else None
                 for rung, name in enumerate(rungs)}  # fmt: skip
        lines.append(line | {"state": trial.state, "seconds": trial.seconds})
        if trial is best:
            marks[at, rungs[-1]] = BEST
    frame = pd.DataFrame(lines)
    text = pd.DataFrame(
        [
            [
                _cell(value, unit.digits if name in rungs else 0 if name == "seconds" else None)
                for name, value in line.items()
            ]
            for line in lines
        ],
        columns=list(frame.columns),
        dtype=object,
    )
    of = "points" if unit is POINTS else "nats, less is better"
    caption = f"{title}: {search.metric} in {of}"
    right = ("trial", *rungs, "seconds")
    return Table("trials", frame, caption, shown=text, marks=marks, right=right)


def _cell(value: object, digits: int | None) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and digits is not None:
        return f"{value:.{digits}f}"
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
        unit, found = unit_of(self.search), self.best.value - self.default.value
        scale, digits, seeds = unit.scale, unit.digits, ", ".join(map(str, self.ours))
        lines = [
            f"In the search: {scale * self.best.value:.{digits}f}, the default "
            f"{scale * self.default.value:.{digits}f} ({scale * found:+.{digits}f}). On seeds that it did "
            f"not see ({seeds}): {scale * ours:.{digits}f}, the default {scale * theirs:.{digits}f}."
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
            f"Difference there {unit.difference(gap)} (95 % interval over {gap.over}, {gap.pairs} seeds): "
            f"{verdict}."
        )
        return lines


def _mean(runs: Mapping[int | None, Answers], metric: str) -> float:
    return float(np.mean([value for each in runs.values() if (value := each.value(metric)) is not None]))
