"""Blocks of a search on disk: a search that was interrupted goes on after them.

A block is a file with its checksums and the hash of what it was found by. One that is damaged, or that
another search found, is searched again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.base.drafts import replacing
from ds2.base.number_files import DAMAGED

Found = tuple[NDArray[np.int32], NDArray[np.float32]]
"""(n, k) rows and their distances."""


@dataclass(frozen=True)
class KeptBlocks:
    """The finished blocks of one search, a file each, named by their first query."""

    folder: Path
    origin: str
    """Hash of what decides the neighbours."""

    def read(self, start: int) -> Found | None:
        """None: the block is not there, damaged, or of another search."""
        try:
            with np.load(self._file(start), allow_pickle=False) as kept:
                if str(kept["origin"]) != self.origin:
                    return None
                return kept["near"], kept["dist"]
        except DAMAGED:
            return None

    def write(self, start: int, found: Found) -> None:
        """Raises OSError where the disk is full."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self._file(start), durable=True) as draft, draft.open("wb") as handle:
            np.savez(handle, near=found[0], dist=found[1], origin=np.array(self.origin))

    def _file(self, start: int) -> Path:
        return self.folder / f"{start:010d}.npz"


def blocks_of(folder: Path | None, *decides: Any) -> KeptBlocks | None:
    """Those in a folder that were found by the same arrays, counts and words; None without a folder."""
    if folder is None:
        return None
    digest = hashlib.sha256()
    for each in decides:
        if isinstance(each, np.ndarray):
            digest.update(f"{each.dtype.str}{each.shape}".encode())
            digest.update(np.ascontiguousarray(each).data)
        else:
            digest.update(f"{each!r}\n".encode())
    return KeptBlocks(folder, digest.hexdigest())
