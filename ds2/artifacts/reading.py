"""Reading an artifact's files: damage is named in one line, with the key, column or shape at fault."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ds2.base.dataclass_json import from_plain
from ds2.base.errors import DamagedArtifact
from ds2.base.json_files import read_json

T = TypeVar("T")
S = TypeVar("S", bound=np.generic)


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        DamagedArtifact: no such file, no JSON, or no object.
    """
    try:
        value = read_json(path)
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error
    if not isinstance(value, dict):
        raise damaged(path, f"expected an object, got {type(value).__name__}")
    return value


def read_dataclass(cls: type[T], path: Path) -> T:
    """The dataclass that a JSON file holds, as `dataclass_json` writes it; a field that the file lacks takes
    its default.

    Raises:
        DamagedArtifact: as `read_object`, or a key that is unknown, missing or of another type.
    """
    return parsed(cls, read_object(path), path)


def parsed(cls: type[T], value: Any, path: Path) -> T:
    """The dataclass that a part of a JSON file holds. Raises DamagedArtifact naming file and key."""
    try:
        return from_plain(cls, value)
    except ValueError as error:
        raise damaged(path, error) from error


def read_array(path: Path, dtype: type[S], *, dimensions: Sequence[int], mapped: bool = False) -> NDArray[S]:
    """The array in a `.npy` file.

    Args:
        dimensions: how many it may have.
        mapped: leave it on disk until its rows are asked for.

    Raises:
        DamagedArtifact: no such file, or not an array of this type and number of dimensions.
    """
    try:
        array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise damaged(path, error) from error
    if array.dtype != dtype or array.ndim not in dimensions:
        raise damaged(path, f"an array of {array.dtype} with {array.ndim} dimensions")
    return cast("NDArray[S]", array)


def read_table(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The named columns of a Parquet file, or all.

    Raises:
        DamagedArtifact: no such file, no Parquet, or a column that it lacks.
    """
    if columns is not None:
        lacking = [name for name in columns if name not in table_columns(path)]
        if lacking:
            raise damaged(path, f"no column {lacking[0]}")
    try:
        return pd.read_parquet(path, columns=None if columns is None else list(columns))
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error


def table_columns(path: Path) -> list[str]:
    """The columns of a Parquet file. Raises DamagedArtifact."""
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error


def table_rows(path: Path) -> int:
    """How many rows a Parquet file has. Raises DamagedArtifact."""
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error


def damaged(path: Path, why: object) -> DamagedArtifact:
    """The refusal, in one line."""
    if isinstance(why, FileNotFoundError):
        why = "there is no such file"
    return DamagedArtifact(f"{path} is damaged: {' '.join(str(why).split())}")
