"""Values: `values.npy`, (N,) or (N, Q) float64, what a language model says of each sample; NaN where nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def parts(folder: Path) -> Path:
    """Where a measurement keeps what it has finished, until it is whole."""
    return folder / "parts"


def write_values(folder: Path, values: NDArray[np.float64]) -> None:
    """The whole measurement; its parts go."""
    np.save(folder / "values.npy", values)
    shutil.rmtree(parts(folder), ignore_errors=True)


def read_values(folder: Path) -> NDArray[np.float64]:
    """(N,) or (N, Q)."""
    values: NDArray[np.float64] = np.load(folder / "values.npy", allow_pickle=False)
    return values
