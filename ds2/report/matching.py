"""Runs that left a part of their budget, because their pool ended or a whole step was too much: they stand
beside runs that fill it, and are not matched with them.
"""

from __future__ import annotations

from collections.abc import Mapping

from ds2.artifacts.run import RunResult
from ds2.artifacts.subset import BUDGET_USED
from ds2.config.stages import CHOICES, Key
from ds2.report.choices import in_words
from ds2.report.table_rows import Row


def budget_used(run: RunResult) -> float | None:
    """The share of its budget that a run used where it left a part of it; None: it is filled."""
    stage = run.stages.get("select")
    return None if stage is None else stage.record["counts"].get(BUDGET_USED)


def not_matched(run: RunResult) -> str | None:
    """A sentence for the verdict, where a run is not matched to its budget."""
    used = budget_used(run)
    if used is None:
        return None
    return (
        f"This selection leaves a part of its budget ({used_text(used)} of it was used): the result is not "
        "matched with those that fill it."
    )


def rows_not_matched(rows: Mapping[Key, Row]) -> list[str]:
    """A line that names such rows of a table, with the least share that a run of each used."""
    named = []
    for key, row in rows.items():
        used = [share for run in row.runs.values() if (share := budget_used(run)) is not None]
        if used:
            labels = in_words(dict(zip(CHOICES, key, strict=True)))
            named.append(f"{labels['method']} at {labels['budget']} ({used_text(min(used))} used)")
    if not named:
        return []
    return [f"Not matched, for they leave a part of the budget: {', '.join(named)}."]


def used_text(share: float) -> str:
    """`2.4 %`: three digits, for it may be little."""
    return f"{100 * share:.3g} %"
