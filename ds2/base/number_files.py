"""Files of numbers: those that people bring (`.npy`, `.npz`, and `.pt` without unpickling code), and `.npy`
that is whole or an error.
"""

from __future__ import annotations

import io
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import MissingInput, UserError, first_line

MOST_NUMBERS = 200_000_000
"""Of a file of scores at most, 1.6 GB where they are read: a packed one of kilobytes may promise any."""


def read_score_file(path: Path, key: str | None = None, *, option: str = "rater") -> NDArray[np.float64]:
    """Scores from `.pt` (a list or tensor, read without unpickling code), `.npz` or `.npy`.

    Returns:
        (n,) values; NaN where the file says so.

    Raises:
        UserError: no such file, another ending, cut off or damaged, no such array, not one number a row, or
            more than `MOST_NUMBERS`.
    """
    if not path.is_file():
        raise MissingInput(f"{option}.path={path}: no such file")
    readers: dict[str, Callable[[], Any]] = {
        ".pt": lambda: _read_pt(path),
        ".npz": lambda: _read_npz(path, key, option),
        # Mapped, so that a header that promises more than the file holds asks for no memory.
        ".npy": lambda: np.load(path, mmap_mode="r", allow_pickle=False),
    }
    if path.suffix not in readers:
        raise UserError(f"{option}.path={path} does not end in .pt, .npz or .npy")
    try:
        values = readers[path.suffix]()
    except UserError:
        raise
    except DAMAGED as error:
        # numpy's own words advise to load the objects, and the code, that a file may hold.
        said = "its bytes are no array of numbers" if "pickle" in str(error) else first_line(error)
        raise UserError(f"{path} is not a whole {path.suffix} file of numbers: {said}") from error
    try:
        array = np.asarray(values)
        if array.ndim == 1 and array.size > MOST_NUMBERS:
            raise _too_many(path)
        if array.dtype.kind == "c":
            raise TypeError("the numbers are complex")
        if array.ndim == 1:
            array = array.astype(np.float64)
    except UserError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path} does not hold one number a row: {first_line(error)}") from error
    if array.ndim != 1:
        raise UserError(f"{path} holds an array of shape {array.shape}, not one number a row")
    return array


def write_array(path: Path, array: NDArray[Any]) -> None:
    """A `.npy` file of numbers; OSError where the disk has no room for it. `numpy.save` says nothing where
    only the last block finds none, and leaves a file that is cut off.
    """
    whole = np.ascontiguousarray(array)
    with path.open("wb") as file:
        _write_header(file, whole, whole.shape)
        file.write(_bytes(whole))


def write_rows(path: Path, count: int, blocks: Iterable[NDArray[Any]]) -> tuple[int, int]:
    """The same file as `write_array` makes of blocks of rows, one under the other, which it holds one at a
    time; its shape.

    Raises:
        ValueError: they are not `count` rows of one width and type. OSError: no room.
    """
    source, at = iter(blocks), 0
    first = np.ascontiguousarray(next(source))
    shape = count, first.shape[1]
    with path.open("wb") as file:
        _write_header(file, first, shape)
        for block in chain([first], source):
            if (block.dtype, block.shape[1:]) != (first.dtype, first.shape[1:]):
                raise ValueError(f"the block of row {at} is {block.shape} {block.dtype}, unlike the first")
            file.write(_bytes(np.ascontiguousarray(block)))
            at += len(block)
    if at != count:
        raise ValueError(f"{at} rows came, not {count}")
    return shape


def _write_header(file: IO[bytes], like: NDArray[Any], shape: tuple[int, ...]) -> None:
    header = np.lib.format.header_data_from_array_1_0(like) | {"shape": shape}  # type: ignore[no-untyped-call]
    np.lib.format.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call]


def _bytes(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


DAMAGED = (
    ValueError, OSError, EOFError, MemoryError, KeyError, zipfile.BadZipFile, zlib.error, SyntaxError,
    tokenize.TokenError,
)  # fmt: skip
"""What numpy and zipfile raise over the bytes of a damaged file."""


def _read_npz(path: Path, key: str | None, option: str) -> Any:
    with np.load(path, allow_pickle=False) as arrays:
        names = list(arrays.files)
        if key is None and len(names) != 1:
            raise UserError(f"{path} holds several arrays; choose one with {option}.key: {', '.join(names)}")
        if key is not None and key not in names:
            raise UserError(f"{path} has no array {key}; it has: {', '.join(names)}")
        _refuse_large(path, arrays.zip.infolist())
        return arrays[key or names[0]]


def _too_many(path: Path) -> UserError:
    return UserError(f"{path} holds more than {MOST_NUMBERS:,} numbers, one a row of a pool")


def _refuse_large(path: Path, parts: Iterable[zipfile.ZipInfo]) -> None:
    if any(part.file_size > 8 * MOST_NUMBERS for part in parts):
        raise _too_many(path)


def _read_pt(path: Path) -> Any:
    import torch

    try:
        source = _checked_parts(path) if zipfile.is_zipfile(path) else path
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it asks to be told of files that it does not know
            values = torch.load(source, map_location="cpu", weights_only=True)
        if isinstance(values, torch.Tensor):
            if values.numel() > MOST_NUMBERS:
                raise _too_many(path)
            return values.detach().to_dense().double().numpy()
        return values
    except UserError:
        raise
    except Exception as error:
        # The unpickler raises whatever damaged bytes make it do; its words advise to load the code as well.
        said = str(error) if isinstance(error, zipfile.BadZipFile) else type(error).__name__
        raise UserError(
            f"{path} is not a plain list or tensor of scores ({said}): it is damaged, or holds code or other "
            "objects, which are not loaded"
        ) from error


def _checked_parts(path: Path) -> io.BytesIO:
    """The parts of a zip file with their checksums verified, as a zip file: torch looks at none."""
    copy = io.BytesIO()
    with zipfile.ZipFile(path) as parts, zipfile.ZipFile(copy, "w") as sound:
        _refuse_large(path, parts.infolist())
        for part in parts.infolist():
            sound.writestr(part.filename, parts.read(part))
    copy.seek(0)
    return copy
