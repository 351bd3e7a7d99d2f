"""Draws of anchors: a record beside the artifacts, by which a file of answers finds its pool and rater again.

`<root>/anchors/<fingerprint of pool and ids>.json`, whose keys are `Draw`'s fields.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ds2.artifacts.reading import read_dataclass
from ds2.base.dataclass_json import to_plain
from ds2.base.drafts import replacing
from ds2.base.errors import DamagedArtifact
from ds2.base.hashes import fingerprint
from ds2.base.json_files import write_json
from ds2.base.paths import writing

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
    """Keep a draw; the time is now. Raises UserError where it cannot be written."""
    folder = root / _FOLDER
    name = fingerprint({"pool": draw.pool, "ids": draw.ids})
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    with writing(folder), replacing(folder / f"{name}.json", durable=True) as draft:
        write_json(draft, to_plain(draw) | {"drawn": now})


def find_draw(root: Path, pool: str, ids: set[str]) -> Draw | None:
    """The last draw from that pool that drew all of `ids`; None where there is none that can be read."""
    draws = []
    for path in (root / _FOLDER).glob("*.json"):
        with suppress(DamagedArtifact):  # it may be another's
            draws.append(read_dataclass(Draw, path))
    fitting = [draw for draw in draws if draw.pool == pool and ids <= set(draw.ids)]
    return max(fitting, key=lambda draw: draw.drawn, default=None)
