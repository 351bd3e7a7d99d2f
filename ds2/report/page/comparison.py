"""Runs side by side: their choices, their table, the artifacts they share, the records of every number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ds2.artifacts.run import RunResult
from ds2.artifacts.step import StageResult
from ds2.config.stages import CHOICES, key_of
from ds2.report.choices import NONE, in_words, word
from ds2.report.page.records import Records
from ds2.report.table import ResultTable


@dataclass(frozen=True)
class Artifact:
    """A stage's artifact and the places of the runs that use it."""

    stage: StageResult
    runs: list[int]


class Comparison:
    """Evaluated runs; everything on the page refers to a run by its place here.

    Args:
        folder: where the page will stand; see `Records`.
        table: of these runs and of those that are not done; None: of these alone.
    """

    def __init__(self, runs: Sequence[RunResult], folder: Path | None, table: ResultTable | None) -> None:
        self.runs = list({run.fingerprint: run for run in runs}.values())
        self.folder = folder
        self.records = Records(folder)
        self.table = table or ResultTable(self.runs)
        self.keys = [key_of(run.config) for run in self.runs]
        self.choices = [in_words(dict(zip(CHOICES, key, strict=True))) for key in self.keys]
        """What `CHOICES` names, of each run, as words."""

    @cached_property
    def facets(self) -> list[dict[str, Any]]:
        """The choices that differ between the runs, raters and methods first: name, values as (word, number
        of runs).
        """
        facets = []
        for name in reversed(CHOICES):
            at = CHOICES.index(name)
            counts = Counter(key[at] for key in self.keys)
            if len(counts.keys() - {None}) > 1:
                order = sorted(counts, key=_facet_order)
                facets.append({"name": name, "values": [(word(name, v), counts[v]) for v in order]})
        return facets

    @cached_property
    def compared(self) -> list[str]:
        """The names of the facets, in the table's order."""
        names = {facet["name"] for facet in self.facets}
        return [name for name in CHOICES if name in names]

    def label(self, choice: Mapping[str, str], names: Sequence[str] = CHOICES) -> str:
        """A row in words: the choices, among `names`, that differ between the runs."""
        told = [choice[name] for name in names if name in self.compared and choice[name] != NONE]
        return " · ".join(told) or choice["method"]

    def artifacts(self, stage: str, *, parts: bool = False) -> list[Artifact]:
        """Each artifact of a stage, once; `parts`: those of a panel's raters too."""
        by_fingerprint: dict[str, Artifact] = {}
        for i, run in enumerate(self.runs):
            for name, made in run.stages.items():
                if name == stage or (parts and name.startswith(f"{stage}.")):
                    by_fingerprint.setdefault(made.fingerprint, Artifact(made, [])).runs.append(i)
        return list(by_fingerprint.values())

    def seeds(self, places: Sequence[int]) -> list[int]:
        """The seeds of these runs."""
        return sorted({self.runs[i].config.seed for i in places})


def _facet_order(value: Any) -> tuple[bool, float, str]:
    """Budgets by size, words by the alphabet, what was not chosen last."""
    text = str(value)
    return value is None, float(text) if text.replace(".", "", 1).isdigit() else 0.0, text
