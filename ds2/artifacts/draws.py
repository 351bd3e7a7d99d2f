"""Draws of anchors: a record beside the artifacts, by which a file of answers finds its pool and rater again.

`<root>/anchors/<fingerprint of pool and ids>.json`, whose keys are `Draw`'s fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ds2.artifacts.reading import read_dataclass
from ds2.base.dataclass_json import to_plain
from ds2.base.hashes import fingerprint
from ds2.base.json_files import write_json

_FOLDER = "anchors"


@dataclass(frozen=True)
class Draw:
    """Who was asked, of what."""

    pool: str
    """Content hash."""
    ids: list[str]
    """Samples drawn."""
    overrides: list[str]
    """What chose pool and rater on the command line."""
    drawn: str = ""
    """When, ISO 8601."""


def write_draw(root: Path, draw: Draw) -> None:
    """Keep a draw; the time is now."""
    folder = root / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    name = fingerprint({"pool": draw.pool, "ids": draw.ids})
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    write_json(folder / f"{name}.json", to_plain(draw) | {"drawn": now})


def find_draw(root: Path, pool: str, ids: set[str]) -> Draw | None:
    """The last draw from that pool that drew all of `ids`; None where there is none. Raises
    DamagedArtifact.
    """
    draws = [read_dataclass(Draw, path) for path in (root / _FOLDER).glob("*.json")]
    fitting = [draw for draw in draws if draw.pool == pool and ids <= set(draw.ids)]
    return max(fitting, key=lambda draw: draw.drawn, default=None)
