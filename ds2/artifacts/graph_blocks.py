"""Blocks of a search for neighbours on disk: a search that was interrupted goes on after them.

A block is a file with its checksums and the hash of what it was found by. One that is damaged, or that
another search found, is searched again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ds2.base.drafts import replacing
from ds2.base.number_files import DAMAGED
from ds2.method.knn_blocks import Found

SCRATCH = ("blocks",)
"""Where a stage keeps them in its folder, until the graph is whole."""


@dataclass(frozen=True)
class GraphBlocks:
    """Those of one folder, a file each, named by their first row."""

    folder: Path

    def read(self, start: int, origin: str) -> Found | None:
        """None: the block is not there, damaged, or of another origin."""
        try:
            with np.load(self._file(start), allow_pickle=False) as kept:
                if str(kept["origin"]) != origin:
                    return None
                return kept["near"], kept["dist"]
        except DAMAGED:
            return None

    def write(self, start: int, origin: str, found: Found) -> None:
        """Raises OSError where the disk is full."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self._file(start), durable=True) as draft, draft.open("wb") as handle:
            np.savez(handle, near=found[0], dist=found[1], origin=np.array(origin))

    def _file(self, start: int) -> Path:
        return self.folder / f"{start:010d}.npz"
