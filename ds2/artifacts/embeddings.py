"""Embeddings: a unit row for each conversation, (N, d) float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ds2.artifacts.reading import read_array
from ds2.base.number_files import write_array

_FILE = "embeddings.npy"


def write_embeddings(folder: Path, vectors: NDArray[np.float32]) -> None:
    """(N, d) unit rows."""
    write_array(folder / _FILE, vectors)


def read_embeddings(folder: Path) -> NDArray[np.float32]:
    """(N, d) unit rows, mapped from disk. Raises DamagedArtifact."""
    return read_array(folder / _FILE, np.float32, dimensions=(2,), mapped=True)
