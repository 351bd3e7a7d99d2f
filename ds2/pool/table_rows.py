"""Rows of a batch of an Arrow table, made of it a few at a time: what each takes is known before.

A dictionary holds once what a million rows name, so a small file may hold more rows than any memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ds2.base.errors import UserError, first_line
from ds2.base.words import quoted
from ds2.pool.bounds import MOST_VALUES, TOO_MANY
from ds2.pool.errors import Unreadable

_ROWS = 1024
"""Rows made at a time, at most."""
_BYTES = 16 * 1024**2
"""Bytes of the rows made at a time, where they are more than one."""
_VALUE = 2
"""Bytes that a value takes at least where a row is JSON, beside its text."""

_ENOUGH = 1 << 31
"""More than any row may take; lists of lists of nothing would take more than a number holds."""


def refuse_twice(path: Path, schema: pa.Schema) -> None:
    """Raises UserError where a table has two columns of a name, or its objects two fields: a row has one."""
    _refuse_twice(path, schema.names)
    for kind in schema.types:
        _refuse_within(path, kind)


def _refuse_within(path: Path, kind: pa.DataType) -> None:
    fields = [kind.field(i) for i in range(kind.num_fields)]
    if pa.types.is_struct(kind):
        _refuse_twice(path, [field.name for field in fields])
    for field in fields:
        _refuse_within(path, field.type)


def _refuse_twice(path: Path, names: Sequence[str]) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise UserError(f"{path} has the column {quoted(twice[0])} twice")


def rows_of(batch: pa.RecordBatch, schema: pa.Schema, max_bytes: int) -> Iterator[Any]:
    """The rows of a batch, as objects; one that takes more than `max_bytes`, holds too many values, or one
    that Python does not know, is `Unreadable`.

    Args:
        schema: the columns as they are read where no column is a dictionary.
    """
    sizes = _per_row(batch, texts=True)
    too_many = _per_row(batch, texts=False) > _VALUE * MOST_VALUES
    ends = np.cumsum(sizes)
    bad = np.flatnonzero((sizes > max_bytes) | too_many)
    at = 0
    while at < len(batch):
        next_bad = bad[np.searchsorted(bad, at)] if len(bad) and bad[-1] >= at else len(batch)
        if at == next_bad:
            limit = f"too long ({sizes[at]:,} bytes; pool.max_row_bytes={max_bytes})"
            yield Unreadable(TOO_MANY if too_many[at] else limit)
            at += 1
            continue
        fit = int(np.searchsorted(ends, ends[at] - sizes[at] + _BYTES, "right"))
        end = min(next_bad, at + _ROWS, max(at + 1, fit))
        yield from _made(batch.slice(at, end - at), schema)
        at = int(end)


def _made(batch: pa.RecordBatch, schema: pa.Schema) -> list[Any]:
    columns = [_undone(batch.column(i), kind) for i, kind in enumerate(schema.types)]
    rows = pa.RecordBatch.from_arrays(columns, names=schema.names)
    try:
        made: list[Any] = rows.to_pylist()
    except (ValueError, OverflowError, LookupError) as error:  # a date of the year 5,000,000, an unknown zone
        if len(rows) == 1:
            return [Unreadable(f"holds a value that cannot be read ({first_line(error)})")]
        return [row for at in range(len(batch)) for row in _made(batch.slice(at, 1), schema)]
    return made


def _undone(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """A column without the dictionaries that it was read with: faster to make rows of."""
    try:
        return column if column.type == kind else column.cast(kind)
    except pa.ArrowNotImplementedError:  # pyarrow has no cast to views; the rows are the same, made slower
        return column


def _per_row(batch: pa.RecordBatch, *, texts: bool) -> Any:
    """The bytes that each row takes at least as JSON; without the texts, `_VALUE` for each value."""
    total = np.zeros(len(batch), np.int64)
    for column in batch.columns:
        total += _cost(column, texts)
    return total


def _cost(array: pa.Array, texts: bool) -> Any:
    """For each item of an array what it takes; one number where all take the same."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return _cost(array.storage, texts)
    if isinstance(array, pa.DictionaryArray):
        each = np.append(np.broadcast_to(_cost(array.dictionary, texts), len(array.dictionary)), _VALUE)
        return each[np.asarray(pc.fill_null(array.indices.cast(pa.int64()), len(array.dictionary)))]
    if isinstance(array, pa.StructArray):
        return _VALUE + sum(_cost(array.field(i), texts) for i in range(kind.num_fields))
    if isinstance(array, pa.FixedSizeListArray):
        one = _cost(array.values, texts)
        if np.ndim(one):
            start, end = array.offset * kind.list_size, (array.offset + len(array)) * kind.list_size
            return _VALUE + one[start:end].reshape(len(array), kind.list_size).sum(1)
        return min(_VALUE + one * kind.list_size, _ENOUGH)
    if isinstance(array, pa.ListArray | pa.LargeListArray):
        offsets = np.asarray(array.offsets).astype(np.int64)
        return _VALUE + _between(_cost(array.values, texts), offsets[:-1], offsets[1:])
    if isinstance(array, pa.ListViewArray | pa.LargeListViewArray):
        starts, counts = np.asarray(array.offsets).astype(np.int64), np.asarray(array.sizes)
        return _VALUE + _between(_cost(array.values, texts), starts, starts + counts)
    if isinstance(array, pa.RunEndEncodedArray):
        return np.max(_cost(array.values, texts), initial=_VALUE)
    if isinstance(array, pa.UnionArray):
        return sum(np.max(_cost(array.field(i), texts), initial=_VALUE) for i in range(kind.num_fields))
    return _VALUE + (_text(array) if texts else 0)


def _between(cost: Any, starts: Any, ends: Any) -> Any:
    """The sums of the costs from each start to each end."""
    if not np.ndim(cost):
        return np.minimum(cost * (ends - starts), _ENOUGH)
    until = np.concatenate([[0], np.cumsum(cost)])
    return until[ends] - until[starts]


def _text(array: pa.Array) -> Any:
    """The bytes of each text; 0 of what is none."""
    kind = array.type
    if pa.types.is_fixed_size_binary(kind):
        return kind.byte_width
    if kind in (pa.string_view(), pa.binary_view()):  # 16 bytes each, of which the first four are its length
        views = np.frombuffer(array.buffers()[1] or b"", np.int32).reshape(-1, 4)
        return views[array.offset : array.offset + len(array), 0].astype(np.int64)
    if kind in (pa.string(), pa.binary(), pa.large_string(), pa.large_binary()):
        return np.asarray(pc.fill_null(pc.binary_length(array), 0)).astype(np.int64)
    return 0
