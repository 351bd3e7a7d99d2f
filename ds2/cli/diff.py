"""`ds2 diff`: what tells two runs apart."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from ds2.artifacts.lineage import locate
from ds2.artifacts.store import ArtifactStore
from ds2.base.errors import UserError
from ds2.base.words import NOTHING, number
from ds2.cli import console
from ds2.report.run_difference import Pair, run_difference

_WIDEST = 60
"""Characters of a value; `--json` has all of it."""


def run(store: ArtifactStore, words: Sequence[str], *, as_json: bool = False) -> int:
    """ds2 diff A B [--json]: runs by their names or pages, or any two artifacts with what they were made
    from; 0 where both are the same, 1 where not.
    """
    if len(words) != 2:
        raise UserError(
            "ds2 diff takes two runs: their names or pages, or two artifacts' fingerprints or folders"
        )
    found = run_difference(*(locate(store.root, word) for word in words))
    groups = {
        "choices": found.choices, "execution": found.execution, "versions": found.versions,
        "inputs": found.inputs, "results": found.results,
    }  # fmt: skip
    if as_json:
        console.plain(json.dumps(found.plain, indent=2, ensure_ascii=False))
    elif not any(groups.values()):
        console.line("the same in choices, versions, inputs and results")
    else:
        console.show(_table(groups, words))
        for line in found.notes:
            console.line(line)
    return 1 if any(groups.values()) else 0


def _table(groups: Mapping[str, Mapping[str, Pair]], words: Sequence[str]) -> Table:
    table = Table("", "what", *(escape(word.rstrip("/").rpartition("/")[2]) for word in words))
    for title, pairs in groups.items():
        for i, (name, pair) in enumerate(pairs.items()):
            last = i == len(pairs) - 1
            table.add_row("" if i else title, escape(name), *map(_shown, pair), end_section=last)
    return table


def _shown(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return escape(text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}...")
