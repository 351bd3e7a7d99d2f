"""Whether methods stand in one order under every fine-tuning recipe.

Under a recipe, method a is better than b by the difference of their means, and clearly so where the paired
interval of that difference (`ds2.report.differences`) leaves 0 out: of R recipes at the level 1 - .05 / R
(Bonferroni), for each is another chance to be wrong about a pair. The order of a pair flips where each of
the two is better under some recipe; it flips clearly where each is clearly better under some.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import pandas as pd

from ds2.config.stages import CHOICES, Key
from ds2.report.answers import AVERAGE
from ds2.report.differences import LEVEL, Difference, difference
from ds2.report.table import REFERENCES, ResultTable
from ds2.report.table_text import Table


@dataclass(frozen=True)
class Pair:
    """Two methods under the recipes that have runs of both."""

    first: str
    second: str
    gaps: Sequence[Difference]
    """First minus second by recipe, turned so that more is better."""

    @property
    def better(self) -> int:
        """Recipes under which the first is better."""
        return sum(gap.value > 0 for gap in self.gaps)

    @property
    def worse(self) -> int:
        """Recipes under which the second is."""
        return sum(gap.value < 0 for gap in self.gaps)

    @property
    def clearly_better(self) -> int:
        """Recipes under which the first is, beyond the interval."""
        return sum(gap.low > 0 for gap in self.gaps)

    @property
    def clearly_worse(self) -> int:
        """Recipes under which the second is, beyond the interval."""
        return sum(gap.high < 0 for gap in self.gaps)

    @property
    def flips(self) -> bool:
        """Whether the order depends on the recipe."""
        return self.better > 0 and self.worse > 0

    @property
    def flips_clearly(self) -> bool:
        """Whether it does beyond the intervals."""
        return self.clearly_better > 0 and self.clearly_worse > 0


def pairs_of(tables: Sequence[ResultTable], task: str = AVERAGE) -> list[Pair]:
    """Every two methods that select by a budget of their own, with their difference under each recipe.

    Args:
        tables: one a recipe.
    """
    keys = dict.fromkeys(key for table in tables for key in table.by_key if _selects(key))
    pairs = []
    for first, second in combinations(keys, 2):
        if first[:3] == second[:3]:  # one pool, model and budget
            both = [table for table in tables if first in table.by_key and second in table.by_key]
            found = [_gap(table, first, second, task, 1 - (1 - LEVEL) / len(both)) for table in both]
            gaps = [gap for gap in found if gap is not None]
            if gaps:
                pairs.append(Pair(_named(first), _named(second), gaps))
    return pairs


def _selects(key: Key) -> bool:
    return dict(zip(CHOICES, key, strict=True))["method"] not in REFERENCES


def _gap(table: ResultTable, first: Key, second: Key, task: str, level: float) -> Difference | None:
    ours, theirs = table.by_key[first].answers, table.by_key[second].answers
    if table.unit(task).less_is_better:
        ours, theirs = theirs, ours
    return difference(ours, theirs, task, level=level)


def _named(key: Key) -> str:
    labels = dict(zip(CHOICES, key, strict=True))
    return " ".join(str(part) for part in (labels["method"], labels["rater"]) if part)


def joined(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The rows of all recipes, with the recipe of each where there is more than the one of no name."""
    named = [frame.assign(recipe=recipe) if recipe else frame for recipe, frame in frames.items()]
    return pd.concat(named, ignore_index=True) if len(named) > 1 else named[0]


def pairs_table(pairs: Sequence[Pair]) -> Table:
    """A row a pair: under how many recipes each is better, and clearly so."""
    rows = [
        {
            "first": pair.first, "second": pair.second, "recipes": len(pair.gaps),
            "first better": pair.better, "clearly": pair.clearly_better,
            "second better": pair.worse, "clearly so": pair.clearly_worse,
            "order": "flips clearly" if pair.flips_clearly else "flips" if pair.flips else "stays",
        }
        for pair in pairs
    ]  # fmt: skip
    return Table("recipes", pd.DataFrame(rows))


def verdict(pairs: Sequence[Pair]) -> str:
    """How often the order of methods flips, in a line."""
    flips, clearly = sum(pair.flips for pair in pairs), sum(pair.flips_clearly for pair in pairs)
    cells, against = (
        sum(len(pair.gaps) for pair in pairs),
        sum(min(pair.better, pair.worse) for pair in pairs),
    )
    return (
        f"The order of {flips} of {len(pairs)} pairs of methods depends on the recipe, of {clearly} beyond "
        f"intervals that allow for all recipes; {against} of {cells} comparisons stand against their pair's "
        "more frequent order."
    )
