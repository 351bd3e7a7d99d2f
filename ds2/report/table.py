"""Runs as a table: a row a method, a column a task, mean and standard deviation over seeds, in points (shares
times 100), or in nats a token where the task is a loss.

With one seed the spread is the evaluation's own standard error over questions, and the table says so.
Differences to a baseline and the marks of the best come from `ds2.report.differences`. Not a pivot of pandas:
each cell also knows its runs, its state and its published value.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property

import pandas as pd

from ds2.artifacts.run import RunResult
from ds2.config import RunConfig
from ds2.config.stages import CHOICES, Key, amount, key_of
from ds2.report.answers import AVERAGE
from ds2.report.costs import Size, sizes_of
from ds2.report.differences import Difference, difference
from ds2.report.matching import rows_not_matched
from ds2.report.table_rows import Published, Row, task_names
from ds2.report.table_text import BEST, TIED, Table
from ds2.report.units import NATS, POINTS, Unit

__all__ = ["BASELINES", "CHOICES", "REFERENCES", "Key", "Published", "ResultTable", "key_of"]

REFERENCES = ("base", "full", "oracle")
"""Methods that are not in the running for the best: they select nothing, everything, or by the truth."""
BASELINES = {"*": "random"}
"""Method -> the method it is compared with; `*`: any other."""


class ResultTable:
    """The runs of a sweep.

    Args:
        runs: those that are evaluated.
        waiting: configuration and state ("missing", "running", ...) of those that are not.
        baselines: see `BASELINES`.
        published: what the authors printed, by row and task; rows of any pool (a key without its first).

    Raises:
        UserError: two different runs claim one cell.
    """

    def __init__(
        self,
        runs: Sequence[RunResult],
        waiting: Sequence[tuple[RunConfig, str]] = (),
        *,
        baselines: Mapping[str, str] | None = None,
        published: Mapping[tuple[Key, str], Published] | None = None,
    ) -> None:
        self._baselines = BASELINES if baselines is None else baselines
        self.by_key: dict[Key, Row] = {}
        order = [(run.config, run) for run in runs] + [(config, state) for config, state in waiting]
        for config, what in order:
            row = self.by_key.setdefault(key_of(config), Row())
            if isinstance(what, str):
                row.waiting.append(what)
            else:
                row.add(what)
        self.by_key = _ordered(self.by_key)
        self.published = {
            (key, task): printed
            for (row, task), printed in (published or {}).items()
            for key in self.by_key
            if key[1:] == row
        }
        """What is printed for rows of this table, by key and task."""

    def frame(self) -> pd.DataFrame:
        """One row a run and task: the choices, seed, task, value (a share), stderr, n."""
        rows = []
        for key, row in self.by_key.items():
            for (seed, run), answers in zip(row.runs.items(), row.answers.values(), strict=True):
                evaluation = answers.evaluation
                named = {
                    **dict(zip(CHOICES, key, strict=True)),
                    "seed": seed,
                    "run": run.name,
                    "fingerprint": run.fingerprint,
                }
                for task in evaluation.scores:
                    result = evaluation.result(task)
                    rows.append(named | {
                        "task": task, "metric": result.metric, "value": result.value, "stderr": result.stderr,
                        "n": result.n,
                    })  # fmt: skip
                average = {
                    "task": AVERAGE,
                    "metric": "",
                    "value": answers.value(AVERAGE),
                    "stderr": None,
                    "n": None,
                }
                rows.append(named | average)
        return pd.DataFrame(rows)

    def summary(self) -> pd.DataFrame:
        """One row a cell, in the task's unit: the choices, task, mean, std over seeds, stderr over questions
        (one seed), seeds, waiting; the difference to the baseline with its interval; the published value.
        """
        rows = []
        for key, row in self.by_key.items():
            for task in self.tasks:
                mean, std, stderr = self.cell(row, task)
                gap, scale = self.differences.get((key, task)), self.unit(task).scale
                printed = self.published.get((key, task))
                rows.append({
                    **dict(zip(CHOICES, key, strict=True)),
                    **{name: size for name, (size, _) in self.sizes[key].items()},
                    "task": task, "mean": mean, "std": std,
                    "stderr": stderr,
                    "seeds": len(row.runs), "waiting": len(row.waiting), "baseline": self.baseline(key),
                    "difference": gap and scale * gap.value, "low": gap and scale * gap.low,
                    "high": gap and scale * gap.high, "pairs": gap and gap.pairs, "over": gap and gap.over,
                    "published": printed and printed.value, "published_std": printed and printed.std,
                    "second_hand": printed and printed.second_hand,
                })  # fmt: skip
        return pd.DataFrame(rows)

    @cached_property
    def tasks(self) -> list[str]:
        """Every task that has a result or is published, then the average."""
        answered = [
            task for row in self.by_key.values() for a in row.answers.values() for task in a.evaluation.scores
        ]
        printed = [task for _, task in self.published]
        return [*(task for task in dict.fromkeys([*answered, *printed]) if task != AVERAGE), AVERAGE]

    def baseline(self, key: Key) -> str | None:
        """The method that a row is compared with; None for the baseline itself."""
        method = str(dict(zip(CHOICES, key, strict=True))["method"])
        name = self._baselines.get(method, self._baselines.get("*"))
        return None if name == method else name

    @cached_property
    def differences(self) -> dict[tuple[Key, str], Difference]:
        """To the baseline, wherever both have runs."""
        gaps = {}
        for key, row in self.by_key.items():
            other = self.row_of(key, self.baseline(key))
            for task in self.tasks if other is not None and other is not row else []:
                assert other is not None
                gap = difference(row.answers, other.answers, task)
                if gap is not None:
                    gaps[key, task] = gap
        return gaps

    @cached_property
    def marks(self) -> dict[tuple[Key, str], str]:
        """The best of each pool, model and budget, and what cannot be told apart from it; where there are
        two or more to compare.
        """
        marks = {}
        groups: dict[Key, list[Key]] = {}
        for key, row in self.by_key.items():
            if row.runs and dict(zip(CHOICES, key, strict=True))["method"] not in REFERENCES:
                groups.setdefault(key[:3], []).append(key)
        for keys in groups.values():
            for task in self.tasks if len(keys) > 1 else []:
                means = {key: m for key in keys if (m := self.cell(self.by_key[key], task)[0]) is not None}
                if not means:
                    continue
                better = min if self.unit(task).less_is_better else max
                best = better(means, key=means.__getitem__)
                marks[best, task] = BEST
                for key in means.keys() - {best}:
                    gap = difference(self.by_key[best].answers, self.by_key[key].answers, task)
                    if means[key] == means[best] or gap is None or not gap.clear:
                        marks[key, task] = TIED
        return marks

    def table(self, name: str, title: str = "") -> Table:
        """For people: values beside the published ones, the average's difference to the baseline, seeds."""
        shown = [
            choice
            for i, choice in enumerate(CHOICES)
            if choice == "method" or len({k[i] for k in self.by_key} - {None}) > 1
        ]
        gaps = any(task == AVERAGE for _, task in self.differences)
        sizes = self.sizes
        lines, marks = [], {}
        for i, (key, row) in enumerate(self.by_key.items()):
            labels = dict(zip(CHOICES, key, strict=True))
            line = {choice: _label(labels[choice]) for choice in shown}
            line |= {name: "" if value is None else said(value) for name, (value, said) in sizes[key].items()}
            for task in self.tasks:
                column = self.names[task]
                printed = self.published.get((key, task))
                line[column] = self._text(row, task) + (f" [{printed}]" if printed else "")
                if (key, task) in self.marks:
                    marks[i, column] = self.marks[key, task]
            if gaps:
                line["to baseline"] = self._difference_text(key)
            lines.append(line | {"seeds": row.seeds})
        text = pd.DataFrame(lines, dtype=object)
        right = tuple(str(column) for column in text if column not in CHOICES)
        return Table(name, self.summary(), title, shown=text, marks=marks, right=right)

    def notes(self) -> list[str]:
        """How to read it."""
        spread = (
            "mean ± standard deviation over seeds"
            if self.several
            else "± standard error over questions (one seed)"
        )
        units = {self.unit(task) for task in self.tasks}
        named = [
            *(["Points (share of right answers times 100)"] if POINTS in units else []),
            *(["Loss on responses in nats a token, less is better"] if NATS in units else []),
        ]
        lines = [f"{'; '.join(named)}, {spread}."]
        if self.several and any(len(row.runs) == 1 for row in self.by_key.values()):
            lines.append("A row of one seed has no ±.")
        if self.differences:
            over = sorted({gap.over for gap in self.differences.values()})
            names = sorted({str(self.baseline(key)) for key, _ in self.differences})
            lines.append(
                f"To baseline: difference of the average to {' or '.join(names)} at the same seed, with its "
                f"95 % interval over {' or '.join(over)} (Student's, paired)."
            )
        printed = list(self.published.values())
        if printed:
            second_hand = "; *: second-hand" if any(cell.second_hand for cell in printed) else ""
            lines.append(f"In brackets: printed by the paper's authors{second_hand}.")
        lines += rows_not_matched(self.by_key)
        if self.marks:
            lines.append(
                f"In the running for the best: everything but {', '.join(REFERENCES)}, within one pool, "
                "model and budget."
            )
        return lines

    def row_of(self, key: Key, method: str | None) -> Row | None:
        """The row of another method with the same choices: of the same rater, or of none; None where there is
        none with runs.
        """
        if method is None:
            return None
        pool, model, budget, _, rater = key
        candidates = [
            (pool, model, budget, method, rater),
            (pool, model, budget, method, None),
            (pool, model, None, method, None),
        ]
        if budget is None:  # nothing selected: beside the only budget there is
            budgets = {k[2] for k in self.by_key if k[:2] == (pool, model) and k[3] == method}
            candidates += [(pool, model, b, method, None) for b in budgets if len(budgets) == 1]
        return next((self.by_key[c] for c in candidates if c in self.by_key and self.by_key[c].runs), None)

    @cached_property
    def sizes(self) -> dict[Key, dict[str, Size]]:
        """Of each row, means over its runs of what its budget could have been: samples, tokens trained on and
        FLOPs of selecting and training; with how a person reads them. Of a table that is matched on samples
        nothing: `python -m experiments costs` tells.
        """
        matched = any(amount(dict(zip(CHOICES, key, strict=True))["budget"])[0] for key in self.by_key)
        return {key: sizes_of(list(row.runs.values())) if matched else {} for key, row in self.by_key.items()}

    def unit(self, task: str) -> Unit:
        """That of a task, or of the average."""
        return self._units.get(task, POINTS)

    @cached_property
    def _units(self) -> dict[str, Unit]:
        known = [answers for row in self.by_key.values() for answers in row.answers.values()]
        return {task: NATS for task in self.tasks if any(answers.is_loss(task) for answers in known)}

    @cached_property
    def several(self) -> bool:
        """Whether any row has more than one seed."""
        return any(len(row.runs) > 1 for row in self.by_key.values())

    @cached_property
    def names(self) -> dict[str, str]:
        """Each task's column; see `task_names`."""
        return task_names(self.tasks)

    def cell(self, row: Row, task: str) -> tuple[float | None, float | None, float | None]:
        """Mean, standard deviation over seeds (two or more) and standard error over questions (one), in the
        task's unit.
        """
        valued = [(a, value) for a in row.answers.values() if (value := a.value(task)) is not None]
        if not valued:
            return None, None, None
        values, scale = pd.Series([value for _, value in valued], dtype=float), self.unit(task).scale
        if len(values) > 1:
            return scale * float(values.mean()), scale * float(values.std()), None
        stderr = valued[0][0].stderr(task)
        return scale * float(values[0]), None, None if stderr is None else scale * stderr

    def _text(self, row: Row, task: str) -> str:
        mean, std, stderr = self.cell(row, task)
        if mean is None:
            return row.state
        spread = std if self.several else stderr  # one sign, one meaning
        return self.unit(task).shown(mean, spread)

    def _difference_text(self, key: Key) -> str:
        gap = self.differences.get((key, AVERAGE))
        return "" if gap is None else self.unit(AVERAGE).difference(gap)


def _ordered(rows: dict[Key, Row]) -> dict[Key, Row]:
    """By pool, model, rater and method, each in the order of its first appearance, and by budget; what has no
    rater comes first.
    """
    seen: list[dict[Hashable, int]] = [{} for _ in CHOICES]
    for key in rows:
        for places, value in zip(seen, key, strict=True):
            places.setdefault(value, -1 if value is None else len(places))
    pools, models, _, methods, raters = seen
    ranks = {}
    for key in rows:
        pool, model, budget, method, rater = key
        ranks[key] = (
            pools[pool], models[model], raters[rater], methods[method], amount(budget),
        )  # fmt: skip
    return {key: rows[key] for key in sorted(rows, key=ranks.__getitem__)}


def _label(value: object) -> str:
    return value if isinstance(value, str) else ""
