"""What a search of many rows needs to go on from where it was interrupted: a place for its blocks."""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Found = tuple[NDArray[np.int32], NDArray[np.float32]]
"""(n, k) rows and their distances."""


class Blocks(Protocol):
    """A place that keeps blocks: by their first row, each with a hash of what decides its neighbours."""

    def read(self, start: int, origin: str) -> Found | None:
        """The block, whole; None where there is none of this origin."""

    def write(self, start: int, origin: str, found: Found) -> None:
        """Keep a block; called by several threads, for blocks of their own."""


class KeptBlocks:
    """The blocks of one search."""

    def __init__(self, place: Blocks, *decides: Any) -> None:
        """decides: the arrays, counts and words that neighbours depend on."""
        digest = hashlib.sha256()
        for each in decides:
            if isinstance(each, np.ndarray):
                digest.update(f"{each.dtype.str}{each.shape}".encode())
                digest.update(np.ascontiguousarray(each).data)
            else:
                digest.update(f"{each!r}\n".encode())
        self._place, self._origin = place, digest.hexdigest()

    def read(self, start: int) -> Found | None:
        return self._place.read(start, self._origin)

    def write(self, start: int, found: Found) -> None:
        self._place.write(start, self._origin, found)
