"""Whether two computations of one artifact came to the same: by bytes, and where those differ, by how much.

Two files with other bytes may still hold the same results: what only tells of the machine and of the moment
(`NOT_RESULTS` of the modules that write it) is left out. What remains is compared as the numbers, texts and
tables that it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ds2.artifacts import adapter, ratings, training
from ds2.artifacts.record import RECORD
from ds2.base.hashes import file_sha256
from ds2.base.json_files import read_json

_NOT_RESULTS: Mapping[str, frozenset[str]] = {
    **training.NOT_RESULTS,
    **adapter.NOT_RESULTS,
    **ratings.NOT_RESULTS,
}


@dataclass(frozen=True)
class FileDifference:
    """How one file of two computations differs."""

    name: str
    """Relative to the artifact's folder."""
    text: str
    """What differs, for a person."""
    apart: float | None = None
    """The largest distance of two numbers, in standard deviations of all that stand there; None: more than
    numbers differs.
    """


def differences(stored: Path, made: Path, names: Iterable[str]) -> list[FileDifference]:
    """The files of two folders that do not hold the same, of those named and of any that only `made` has."""
    found = []
    there = {str(p.relative_to(made)) for p in made.rglob("*") if p.is_file()} - {RECORD}
    for name in sorted({*names, *there}):
        one, other = stored / name, made / name
        if not (one.is_file() and other.is_file()):
            found.append(FileDifference(name, "missing" if one.is_file() else "not there before"))
        elif one.stat().st_size != other.stat().st_size or file_sha256(one) != file_sha256(other):
            found += _unequal(name, one, other)
    return found


def _unequal(name: str, one: Path, other: Path) -> list[FileDifference]:
    """How two files of other bytes differ; nothing where only what is no result does."""
    if one.suffix == ".json":
        return _of_json(name, read_json(one), read_json(other))
    compare = _COMPARERS.get(one.suffix)
    return [FileDifference(name, *(compare(one, other) if compare else ("other bytes", None)))]


def _of_json(name: str, one: Any, other: Any) -> list[FileDifference]:
    left_out = _NOT_RESULTS.get(name, frozenset())
    a, b = dict(_leaves(one, left_out)), dict(_leaves(other, left_out))
    keys = [key for key in dict.fromkeys([*a, *b]) if a.get(key, _ABSENT) != b.get(key, _ABSENT)]
    if not keys:
        return []
    text = f"{len(keys)} of {len(a)} values: {', '.join(keys[:3])}{' ...' if len(keys) > 3 else ''}"
    pairs = [(a.get(key), b.get(key)) for key in keys]
    apart = [_relative(x, y) for x, y in pairs if isinstance(x, float) and isinstance(y, float)]
    return [FileDifference(name, text, max(apart) if len(apart) == len(pairs) else None)]


_ABSENT = object()


def _relative(a: float, b: float) -> float:
    return abs(a - b) / max(abs(a), abs(b), 1e-300)


def _leaves(value: Any, left_out: frozenset[str], at: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in left_out:
                yield from _leaves(item, left_out, f"{at}.{key}" if at else key)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _leaves(item, left_out, f"{at}[{i}]")
    else:
        yield at, value


def _of_arrays(
    one: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]]
) -> tuple[str, float | None]:
    if one.keys() != other.keys():
        return f"other columns: {', '.join(sorted(one.keys() ^ other.keys())[:3])}", None
    texts, apart = [], list[float | None]()
    for name, a in one.items():
        b, called = other[name], f"{name}: " if name else ""
        if a.shape != b.shape:
            texts.append(f"{called}shape {a.shape} is now {b.shape}")
            apart.append(None)
            continue
        unequal = ~_same(a, b)
        if not unequal.any():
            continue
        texts.append(f"{called}{int(unequal.sum()):,} of {a.size:,} values")
        apart.append(_distance(a, b))
    if not texts:
        return "the same values in another order of bytes", 0.0
    return "; ".join(texts), None if None in apart else max(each for each in apart if each is not None)


def _same(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    equal = np.asarray(a == b)
    if a.dtype.kind == "f" and b.dtype.kind == "f":
        equal |= np.isnan(a) & np.isnan(b)
    return equal


def _distance(a: NDArray[Any], b: NDArray[Any]) -> float | None:
    """Between two arrays of fractions, in standard deviations of the first; None for labels and counts."""
    if a.dtype.kind != "f" or b.dtype.kind != "f" or (np.isnan(a) != np.isnan(b)).any():
        return None
    known = a[np.isfinite(a)].astype(np.float64)
    spread = float(known.std()) if known.size else 0.0
    furthest = float(np.nanmax(np.abs(a.astype(np.float64) - b)))
    return furthest / (spread or max(float(np.abs(known).max(initial=0.0)), 1e-300))


def _npy(one: Path, other: Path) -> tuple[str, float | None]:
    return _of_arrays({"": np.load(one, mmap_mode="r")}, {"": np.load(other, mmap_mode="r")})


def _parquet(one: Path, other: Path) -> tuple[str, float | None]:
    def columns(path: Path) -> dict[str, NDArray[Any]]:
        table = pd.read_parquet(path)
        return {str(name): _flat(table[name]) for name in table}

    return _of_arrays(columns(one), columns(other))


def _flat(column: pd.Series[Any]) -> NDArray[Any]:
    """Numbers as they are; anything else as its text."""
    values = column.to_numpy()
    return (
        values if values.dtype.kind in "fiub" else np.array([repr(value) for value in values], dtype=object)
    )


def _safetensors(one: Path, other: Path) -> tuple[str, float | None]:
    from safetensors.torch import load_file

    def tensors(path: Path) -> dict[str, NDArray[Any]]:
        return {name: tensor.float().numpy() for name, tensor in load_file(path).items()}

    return _of_arrays(tensors(one), tensors(other))


_COMPARERS: Mapping[str, Callable[[Path, Path], tuple[str, float | None]]] = {
    ".npy": _npy,
    ".parquet": _parquet,
    ".safetensors": _safetensors,
}
