"""Embeddings: `embeddings.npy`, (N, d) float32, unit rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_embeddings(folder: Path, vectors: NDArray[np.float32]) -> None:
    np.save(folder / "embeddings.npy", vectors)


def read_embeddings(folder: Path) -> NDArray[np.float32]:
    """(N, d) unit rows, mapped from disk."""
    vectors: NDArray[np.float32] = np.load(folder / "embeddings.npy", mmap_mode="r", allow_pickle=False)
    return vectors
