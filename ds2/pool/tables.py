"""Rows of tables: CSV and TSV, Parquet, Arrow (`datasets.save_to_disk`)."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ds2.base.errors import UserError, first_line
from ds2.base.words import quoted
from ds2.pool.bounds import MOST_BLANK, MOST_VALUES, TOO_MANY
from ds2.pool.errors import Unreadable
from ds2.pool.opening import BLOCK, LineGuard, Meter, encoding_of, open_unpacked

_ROWS, _FEW = 8192, 16
"""Rows of a Parquet file read at a time: at most, and at least."""
_BYTES = 64 * 1024**2
"""Bytes of a Parquet file's group of rows from which on fewer are read at a time: a few may be most of it."""
_DELIMITERS = ",;\t|"


def read_csv(path: Path, max_bytes: int, meter: Meter) -> Iterator[tuple[int, Any]]:
    """(line on which it begins, counted from 1; row) of a table with a header; empty cells are null.

    Raises:
        UserError: no header, a name twice in it, a quote that never ends, blank lines without end, or another
            encoding than UTF-8, UTF-16 and UTF-32.
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
    line = text.readline()
    first = line.rstrip("\r\n")
    if line and not first:
        raise UserError(f"{path} begins with a blank line: the header belongs there")
    delimiter = max(_DELIMITERS, key=first.count)
    if first.count(delimiter) >= MOST_VALUES:
        raise UserError(f"{path}: its header {TOO_MANY}")
    names = next(csv.reader([first], delimiter=delimiter), [])
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise UserError(f"{path}: its header has the column {quoted(twice[0])} twice")
    rows = csv.reader(text, delimiter=delimiter)
    start, blank = 2, 0
    try:
        for cells in rows:
            blank = 0 if any(cells) else blank + 1
            if blank > MOST_BLANK:
                raise UserError(f"{path}, row {start}: {MOST_BLANK:,} blank lines; the file may be damaged")
            if len(cells) == len(names):
                yield start, {name: cell or None for name, cell in zip(names, cells, strict=True)}
            elif not blank:
                yield start, Unreadable(f"has {len(cells)} cells (the header {len(names)})")
            start = rows.line_num + 2
    except csv.Error as error:
        raise UserError(f"{path}, row {start}: not CSV ({error}); a quote may lack its end") from error


def read_parquet(path: Path, max_bytes: int, meter: Meter) -> Iterator[tuple[int, Any]]:
    """(row, counted from 1; row) of a Parquet file; one that takes more than `max_bytes` is `Unreadable`.

    Raises:
        UserError: it is none, cut off, or has a column twice.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from ds2.pool.table_rows import refuse_twice, rows_of

    try:
        table = pq.ParquetFile(path, page_checksum_verification=True)
        schema = table.schema_arrow
        refuse_twice(path, schema)
        if names := _dictionaries(table.metadata):
            table = pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=names)
        count, size = max(table.metadata.num_rows, 1), path.stat().st_size
        number = 0
        for batch in table.iter_batches(batch_size=_rows_at_once(table.metadata)):
            for row in rows_of(batch, schema, max_bytes):
                number += 1
                yield number, row
            meter.add(size * len(batch) // count)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a Parquet file, or cut or damaged: {first_line(error)}") from error


def _dictionaries(metadata: Any) -> list[str]:
    """The columns of texts that have dictionaries, to be read as such: written out, each row has its own copy
    of a text that the file holds once.
    """
    groups = (metadata.row_group(i) for i in range(metadata.num_row_groups))
    columns = (group.column(i) for group in groups for i in range(metadata.num_columns))
    names = (
        column.path_in_schema
        for column in columns
        if column.physical_type == "BYTE_ARRAY" and column.has_dictionary_page
    )
    return list(dict.fromkeys(names))


def _rows_at_once(metadata: Any) -> int:
    """Fewer rows, the larger the file's groups of them are, or its bytes of a fixed length: a dictionary may
    hold those once for all rows, and they cannot be read with it.
    """
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    largest = max((group.total_byte_size for group in groups), default=0)
    rows = max(_FEW, min(_ROWS, _ROWS * _BYTES // max(largest, 1)))
    columns = (metadata.schema.column(i) for i in range(metadata.num_columns))
    width: int = sum(column.length for column in columns if column.physical_type == "FIXED_LEN_BYTE_ARRAY")
    return max(1, min(rows, _BYTES // max(width, 1)))


def read_arrow(path: Path, max_bytes: int, meter: Meter) -> Iterator[tuple[int, Any]]:
    """(row, counted from 1; row) of an Arrow stream or file; one that takes more than `max_bytes` is
    `Unreadable`.

    Raises:
        UserError: it is none, cut off, or has a column twice.
    """
    import pyarrow as pa

    from ds2.pool.table_rows import refuse_twice, rows_of

    try:
        with pa.memory_map(str(path)) as source:
            number = 0
            for batch in _batches(source):
                refuse_twice(path, batch.schema)
                batch.validate(full=True)
                for row in rows_of(batch, batch.schema, max_bytes):
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
