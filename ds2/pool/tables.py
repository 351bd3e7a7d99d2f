"""Rows of tables: CSV and TSV, Parquet, Arrow (`datasets.save_to_disk`)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ds2.base.errors import UserError, first_line
from ds2.pool.errors import Unreadable
from ds2.pool.opening import BLOCK, LineGuard, Meter, encoding_of, open_unpacked

_ROWS = 1024
"""Rows of a table made at a time."""
_DELIMITERS = ",;\t|"


def read_csv(path: Path, max_bytes: int, meter: Meter) -> Iterator[tuple[int, Any]]:
    """(line on which it begins, counted from 1; row) of a table with a header; empty cells are null.

    Raises:
        UserError: no header, a name twice in it, a quote that never ends, or another encoding than UTF-8,
            UTF-16 and UTF-32.
    """
    csv.field_size_limit(max_bytes)
    with open_unpacked(path, meter) as content:
        encoding = encoding_of(content.peek(4)[:4])  # type: ignore[attr-defined]
        guarded = io.BufferedReader(LineGuard(path, content, max_bytes), BLOCK)
        text = io.TextIOWrapper(guarded, encoding=encoding, newline="")
        try:
            yield from _csv_rows(path, text)
        except UnicodeDecodeError as error:
            raise UserError(f"{path} is not {error.encoding} (byte {error.start} of a block)") from error


def _csv_rows(path: Path, text: io.TextIOWrapper) -> Iterator[tuple[int, Any]]:
    first = text.readline().rstrip("\r\n")
    delimiter = max(_DELIMITERS, key=first.count)
    names = next(csv.reader([first], delimiter=delimiter), [])
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{path}: its header has the column {twice[0]!r} twice")
    rows = csv.reader(text, delimiter=delimiter)
    start = 2
    try:
        for cells in rows:
            if len(cells) == len(names):
                yield start, {name: cell or None for name, cell in zip(names, cells, strict=True)}
            elif any(cells):
                yield start, Unreadable(f"has {len(cells)} cells (the header {len(names)})")
            start = rows.line_num + 2
    except csv.Error as error:
        raise UserError(f"{path}, row {start}: not CSV ({error}); a quote may lack its end") from error


def read_parquet(path: Path, meter: Meter) -> Iterator[tuple[int, Any]]:
    """(row, counted from 1; row) of a Parquet file. Raises UserError where it is none, or cut off."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path, page_checksum_verification=True)
        count, size = max(table.metadata.num_rows, 1), path.stat().st_size
        number = 0
        for batch in table.iter_batches(batch_size=_ROWS):
            for row in batch.to_pylist():
                number += 1
                yield number, row
            meter.add(size * len(batch) // count)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a Parquet file, or cut or damaged: {first_line(error)}") from error


def read_arrow(path: Path, meter: Meter) -> Iterator[tuple[int, Any]]:
    """(row, counted from 1; row) of an Arrow stream or file. Raises UserError where it is none, or cut."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source:
            number = 0
            for batch in _batches(source):
                for at in range(0, len(batch), _ROWS):
                    for row in batch.slice(at, _ROWS).to_pylist():
                        number += 1
                        yield number, row
                meter.add(batch.nbytes)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not an Arrow file, or cut or damaged: {first_line(error)}") from error


def _batches(source: Any) -> Iterator[Any]:
    import pyarrow as pa

    if source.read(6) == b"ARROW1":
        file = pa.ipc.open_file(source)
        yield from (file.get_batch(i) for i in range(file.num_record_batches))
    else:
        source.seek(0)
        yield from pa.ipc.open_stream(source)
