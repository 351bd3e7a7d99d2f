"""Files of numbers that people bring: `.npy`, `.npz`, and `.pt` without unpickling code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import MissingInput, UserError


def read_score_file(path: Path, key: str | None = None, *, option: str = "rater") -> NDArray[np.float64]:
    """Scores from `.pt` (a list or tensor, read without unpickling code), `.npz` or `.npy`.

    Returns:
        (n,) values; NaN where the file says so.

    Raises:
        UserError: no such file, another ending, no such array, or not one number a row.
    """
    if not path.is_file():
        raise MissingInput(f"{option}.path={path}: no such file")
    if path.suffix == ".pt":
        values = _read_pt(path)
    elif path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            names = list(arrays.files)
            if key is None and len(names) != 1:
                raise UserError(
                    f"{path} holds several arrays; choose one with {option}.key: {', '.join(names)}"
                )
            if key is not None and key not in names:
                raise UserError(f"{path} has no array {key}; it has: {', '.join(names)}")
            values = arrays[key or names[0]]
    elif path.suffix == ".npy":
        values = np.load(path, allow_pickle=False)
    else:
        raise UserError(f"{option}.path={path} does not end in .pt, .npz or .npy")
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{path} does not hold one number a row: {error}") from error
    if array.ndim != 1:
        raise UserError(f"{path} holds an array of shape {array.shape}, not one number a row")
    return array


def _read_pt(path: Path) -> Any:
    import pickle

    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise UserError(
            f"{path} is not a plain list or tensor of scores: {str(error).splitlines()[0]}"
        ) from error
