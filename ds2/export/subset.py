"""The subset as the forms read it: its rows one after another, and what is true of all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ds2.artifacts.record import read_record
from ds2.artifacts.subset import Chosen, read_chosen
from ds2.artifacts.written_samples import TURN_KEYS


@dataclass(frozen=True)
class Subset:
    """A finished subset, and what its rows need of a form."""

    folder: Path
    name: str
    """What it is called in trainers' configurations: letters, digits, `_`, `.`, `-`."""
    rows: int
    scores: tuple[str, ...]
    """The columns of scores and reasons that are written too: none unless they are asked for."""
    turn_keys: tuple[str, ...]
    """Which of `TURN_KEYS` any turn has."""
    has_tools: bool
    has_extra: bool
    untrained: int
    """Rows with an assistant turn that is not to be trained."""
    last_alone: bool
    """Whether some are not, and each row trains its last assistant turn and no other."""

    def chosen(self) -> Iterator[Chosen]:
        """The rows, best first. Raises DamagedArtifact."""
        return read_chosen(self.folder)

    @property
    def weighted(self) -> bool:
        """Whether turns need a flag each: some are not to be trained, and not just all but the last."""
        return self.untrained > 0 and not self.last_alone

    def columns(self, row: Chosen) -> dict[str, Any]:
        """The columns of scores and reason that this export has."""
        return {name: row.columns[name] for name in self.scores}


def open_subset(folder: Path, *, with_scores: bool = False) -> Subset:
    """Look through a finished subset. Raises DamagedArtifact."""
    rows = untrained = 0
    keys: set[str] = set()
    held: set[str] = set()
    tools = extra = False
    last_alone = True
    for row in read_chosen(folder):
        rows += 1
        tools, extra = tools or bool(row.tools), extra or bool(row.extra)
        keys.update(*(message.fields for message in row.messages))
        held |= {name for name, value in row.columns.items() if value is not None}
        flags = [message.trained for message in row.messages if message.role == "assistant"]
        untrained += not all(flags)
        last_alone = last_alone and flags[-1:] == [True] and not any(flags[:-1])
    scores = tuple(name for name in row.columns if name in held) if rows and with_scores else ()
    return Subset(
        folder, str(read_record(folder)["slug"]), rows, scores,
        tuple(key for key in TURN_KEYS if key in keys), tools, extra, untrained,
        untrained > 0 and last_alone,
    )  # fmt: skip


def native_arguments(call: Mapping[str, Any]) -> Any:
    """A tool call's arguments as an object; what is no JSON stays text."""
    try:
        return json.loads(call["function"]["arguments"])
    except ValueError:
        return call["function"]["arguments"]


def listed_tools(text: str) -> list[dict[str, Any]] | None:
    """The tools of a row, each as its function's description; None where they are no such list."""
    try:
        tools = json.loads(text)
    except ValueError:
        return None
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        return None
    functions = [
        tool["function"] if tool.get("type") == "function" and "function" in tool else tool for tool in tools
    ]
    return (
        functions if all(isinstance(f, dict) and isinstance(f.get("name"), str) for f in functions) else None
    )


def json_text(value: Any) -> str:
    """JSON on one line, every script as it is."""
    return json.dumps(value, ensure_ascii=False)
