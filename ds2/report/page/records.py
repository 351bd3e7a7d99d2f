"""What the numbers of a page rest on: every artifact it cites, once, with its record."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ds2.artifacts.step import StageResult


class Records:
    """The artifacts of a page; a number on it carries the places of its own in `rows`.

    Args:
        folder: where the page will stand, for relative links; None: absolute ones.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._places: dict[tuple[str, str], int] = {}
        self.rows: list[dict[str, Any]] = []
        """stage, fingerprint, path of the record, href, seconds, memory."""

    def cite(self, stage: StageResult) -> int:
        """The artifact's place in `rows`."""
        key = (stage.name, stage.fingerprint)
        if key not in self._places:
            self._places[key] = len(self.rows)
            self.rows.append({
                "stage": stage.name, "fingerprint": stage.fingerprint, "path": stage.record_file.as_posix(),
                "href": link(stage.record_file, self._folder), "seconds": stage.record.get("wall_seconds"),
                "memory": stage.record.get("peak_memory_bytes"),
            })  # fmt: skip
        return self._places[key]

    def title(self, places: Iterable[int]) -> str:
        """What a pointer over the number shows: stages and fingerprints."""
        return "\n".join(
            f"{self.rows[place]['stage']} {self.rows[place]['fingerprint']}"
            for place in dict.fromkeys(places)
        )


def link(path: Path, folder: Path | None) -> str:
    """A link to `path` from a page in `folder`."""
    return (
        path.absolute().as_uri() if folder is None else quote(Path(os.path.relpath(path, folder)).as_posix())
    )
