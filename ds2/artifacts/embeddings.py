"""Embeddings: a unit row for each conversation, (N, d) float32, never whole in memory.

Until all are there, blocks of what a neural encoder made lie beside them, and an interrupted embedding goes
on from there.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ds2.artifacts.reading import read_array
from ds2.base.number_files import write_rows

_FILE = "embeddings.npy"
SCRATCH = ("parts",)
"""Folders of what an unfinished embedding goes on from."""


def parts(folder: Path) -> Path:
    """Where an embedding keeps the blocks that it has finished."""
    return folder / SCRATCH[0]


def write_embeddings(folder: Path, count: int, blocks: Iterable[NDArray[np.float32]]) -> int:
    """`count` unit rows that come in blocks; how many numbers each has."""
    return write_rows(folder / _FILE, count, blocks)[1]


def read_embeddings(folder: Path) -> NDArray[np.float32]:
    """(N, d) unit rows, mapped from disk. Raises DamagedArtifact."""
    return read_array(folder / _FILE, np.float32, dimensions=(2,), mapped=True)
