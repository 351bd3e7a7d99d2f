"""Samples: conversations with their ids, kept as bytes, beyond a size on disk, made anew when asked for.

A pool of 20 GB is read in bounded memory: what stays there is about 250 bytes a sample.
"""

from __future__ import annotations

import json
import mmap
import tempfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple, overload

from ds2.base.errors import UserError
from ds2.base.paths import shown
from ds2.base.words import size
from ds2.pool.messages import Message

MEMORY = 2 * 1024**3
"""Bytes of samples held in memory; those of a larger pool lie in an unnamed file of the temporary folder."""


class Place(NamedTuple):
    """Where a row stands: the file (or data set) and the row, counted from 1 as editors count lines."""

    file: str
    number: int

    def __str__(self) -> str:
        file = shown(self.file) if Path(self.file).is_absolute() else self.file
        return f"{file}, row {self.number:,}" if self.number >= 1_000_000 else f"{file}, row {self.number}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One conversation."""

    id: str
    row: int
    """Position in the pool as it was read, from 0, counting rows that were dropped."""
    source: str
    messages: tuple[Message, ...]
    columns: Mapping[str, Any]
    """The row's other fields."""
    place: Place | None = None
    """Where its row stands."""

    @property
    def named(self) -> str:
        """The sample in an error: its id, and file and row."""
        return f"{self.id!r}" + (f" ({self.place})" if self.place else f" (row {self.row + 1})")


class StoredSamples(Sequence[Sample]):
    """Samples that are added one by one and read by position."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.rows = array("q")
        self.sources: list[str] = []
        self._ends = array("q")
        self._memory = bytearray()
        self._file: Any = None
        self._view: Any = None
        self._names: dict[str, str] = {}

    def add(self, sample: Sample) -> None:
        """Keep one more. Raises UnicodeEncodeError where a text of it holds half a character, UserError where
        the temporary folder has no room.
        """
        told = [
            [m.role, m.content] if m.trained and not m.fields else [m.role, m.content, m.trained, m.fields]
            for m in sample.messages
        ]
        packed = _encode([told, sample.columns, sample.place]).encode()
        self.ids.append(sample.id)
        self.rows.append(sample.row)
        self.sources.append(self._names.setdefault(sample.source, sample.source))
        self._append(packed)

    def _append(self, packed: bytes) -> None:
        self._ends.append((self._ends[-1] if self._ends else 0) + len(packed))
        if self._file is None and len(self._memory) + len(packed) <= MEMORY:
            self._memory += packed
            return
        try:
            if self._file is None:
                # Closed, and so removed, with the pool.
                self._file = tempfile.TemporaryFile(prefix="ds2-pool-")  # noqa: SIM115
                self._file.write(self._memory)
                self._memory = bytearray()
            self._file.write(packed)
        except OSError as error:
            raise _unwritable(error) from error
        self._view = None

    def _bytes(self, start: int, end: int) -> bytes:
        if self._file is None:
            return bytes(self._memory[start:end])
        if self._view is None:
            try:
                self._file.flush()
            except OSError as error:
                raise _unwritable(error) from error
            self._view = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        piece: bytes = self._view[start:end]
        return piece

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, position: int) -> Sample: ...

    @overload
    def __getitem__(self, position: slice) -> list[Sample]: ...

    def __getitem__(self, position: int | slice) -> Sample | list[Sample]:
        if isinstance(position, slice):
            return [self[i] for i in range(*position.indices(len(self)))]
        i = range(len(self))[position]
        told, columns, place = json.loads(self._bytes(self._ends[i - 1] if i else 0, self._ends[i]))
        messages = tuple(Message(*turn) for turn in told)
        return Sample(self.ids[i], self.rows[i], self.sources[i], messages, columns, place and Place(*place))

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))


def _unwritable(error: OSError) -> UserError:
    # None where none can be written to: the error then names those that were tried.
    folder = "" if tempfile.tempdir is None else f" {tempfile.tempdir}"
    return UserError(
        f"cannot write to the temporary folder{folder}, where a pool lies beyond {size(MEMORY)}: "
        f"{error.strerror or error}; TMPDIR=FOLDER names another"
    )


class PartOfSamples(Sequence[Sample]):
    """Some of a pool's samples, in its order; their bytes are the pool's."""

    def __init__(self, whole: StoredSamples, positions: Sequence[int]) -> None:
        self._whole = whole
        self._positions = array("q", positions)
        self.ids = [whole.ids[p] for p in positions]
        self.rows = array("q", [whole.rows[p] for p in positions])
        self.sources = [whole.sources[p] for p in positions]

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, position: int) -> Sample: ...

    @overload
    def __getitem__(self, position: slice) -> list[Sample]: ...

    def __getitem__(self, position: int | slice) -> Sample | list[Sample]:
        if isinstance(position, slice):
            return [self._whole[p] for p in self._positions[position]]
        return self._whole[self._positions[position]]

    def __iter__(self) -> Iterator[Sample]:
        return (self._whole[p] for p in self._positions)


def plain(value: Any) -> Any:
    """A value of a Parquet column that JSON does not know, as one that it knows."""
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return f"<{len(value):,} bytes left out>"
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


_encode = json.JSONEncoder(ensure_ascii=False, default=plain).encode
