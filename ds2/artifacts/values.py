"""Values: what a language model says of each sample, (N,) or (N, Q) float64, NaN where nothing.

Until they are whole, what is finished lies beside them, and an interrupted measurement goes on from there.
LESS keeps its warm-up and its projected directions (safetensors) in the artifact.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ds2.artifacts.reading import read_array
from ds2.base.number_files import write_array
from ds2.selection.workspace import Workspace

_FILE = "values.npy"
SCRATCH = ("parts",)
"""Folders of what an unfinished measurement goes on from."""


def workspace(folder: Path) -> Workspace:
    """Where a measurement keeps what it has finished."""
    return Workspace(parts=folder / "parts", warm_up=folder / "warm_up", directions=folder / "directions")


def write_values(folder: Path, values: NDArray[np.float64]) -> None:
    """The whole measurement."""
    write_array(folder / _FILE, values)


def read_values(folder: Path) -> NDArray[np.float64]:
    """(N,) or (N, Q). Raises DamagedArtifact."""
    return read_array(folder / _FILE, np.float64, dimensions=(1, 2))
