"""What each response token of a subset is worth: stage `tokens`.

`token_scores.npy` (T,) float32: base loss minus reference loss of every response token, sample after sample
in the order of the subset, NaN where nothing precedes it. `token_counts.npy` (n,) int64: tokens of each
sample, those left without a word of the assistant aside.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ds2.artifacts.reading import damaged, read_array
from ds2.base.number_files import write_array

REFERENCES = "references"
"""Folder, while the stage works, of its reference models."""
_SCORES, _COUNTS = "token_scores.npy", "token_counts.npy"


def reference(folder: Path, fold: int) -> tuple[Path, Path]:
    """The file of the rows that one of them is trained on, and its folder."""
    own = folder / REFERENCES
    own.mkdir(exist_ok=True)
    return own / f"{fold}.jsonl", own / str(fold)


def write(folder: Path, scores: list[NDArray[np.float32]]) -> None:
    """Each sample's scores."""
    write_array(folder / _SCORES, np.concatenate(scores))
    write_array(folder / _COUNTS, np.array([len(each) for each in scores], dtype=np.int64))


def read(folder: Path) -> list[NDArray[np.float32]]:
    """Each sample's scores. Raises DamagedArtifact."""
    scores = read_array(folder / _SCORES, np.float32, dimensions=(1,))
    counts = read_array(folder / _COUNTS, np.int64, dimensions=(1,))
    if counts.sum() != len(scores):
        raise damaged(folder / _COUNTS, f"{counts.sum()} tokens, {_SCORES} has {len(scores)}")
    return np.split(scores, np.cumsum(counts)[:-1])
