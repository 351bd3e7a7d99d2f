"""Parquet with a schema that is stated: what a first block of rows happens to hold decides nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ds2.export.subset import Subset
from ds2.pool import Message

_BATCH = 2048
TEXT = pa.string()
CALLS = pa.list_(
    pa.struct({"id": TEXT, "type": TEXT, "function": pa.struct({"name": TEXT, "arguments": TEXT})})
)
OBJECTS = pa.list_(pa.json_())
"""A list of JSON values, each kept as its text: `datasets` from 4.7 on gives back the values."""


def turn_type(subset: Subset, *flag: tuple[str, Any]) -> Any:
    """The type of a turn: role, content, the keys of its own that any turn has, and a flag."""
    own = [(key, CALLS if key == "tool_calls" else TEXT) for key in subset.turn_keys]
    return pa.struct([("role", TEXT), ("content", TEXT), *own, *flag])


def turn(message: Message) -> dict[str, Any]:
    """A turn with the keys of its own that it has; the others are null."""
    return {"role": message.role, "content": message.content, **message.fields}


def write_parquet(
    path: Path,
    rows: Iterable[Mapping[str, Any]],
    columns: Mapping[str, Any],
    *,
    features: Mapping[str, Any] | None = None,
) -> int:
    """Write rows of these columns; returns how many.

    Args:
        columns: name -> Arrow type, in order.
        features: the same for `datasets`, where its types are more than Arrow's.
    """
    schema = pa.schema(list(columns.items()))
    if features is not None:
        schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    count, left = 0, iter(rows)
    with pq.ParquetWriter(path, schema) as writer:
        while batch := list(islice(left, _BATCH)):
            arrays = [_array([row.get(name) for row in batch], kind) for name, kind in columns.items()]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            count += len(batch)
    return count


def _array(values: list[Any], kind: Any) -> Any:
    if kind != OBJECTS:
        return pa.array(values, kind)
    texts = pa.array(values, pa.list_(TEXT))  # Arrow makes no lists of JSON from Python's
    return pa.ListArray.from_arrays(texts.offsets, pa.JsonArray.from_storage(pa.json_(), texts.values))


def score_types(subset: Subset) -> dict[str, Any]:
    """The types of the columns of scores that an export has."""
    kinds = {"rank": pa.int64(), "row": pa.int64(), "file": TEXT, "file_row": pa.int64(), "reason": TEXT}
    return {name: kinds.get(name, pa.float64()) for name in subset.scores}
