"""The rows of one file, whatever it is: told by what it begins with, and by its name for CSV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ds2.base.errors import UserError
from ds2.pool.errors import NoRows
from ds2.pool.json_rows import HEAD, is_lines, read_lines, read_list
from ds2.pool.opening import Meter, open_unpacked
from ds2.pool.samples import Place
from ds2.pool.tables import read_arrow, read_csv, read_parquet

JSON = (".jsonl", ".ndjson", ".json")
TABLES = (".csv", ".tsv", ".parquet", ".arrow", ".feather")
PACKED = (".gz", ".zst", ".xz", ".bz2")
MAX_ROW_BYTES = 64 * 1024**2


def endings(name: str) -> str:
    """A file's ending in lower case, that of a packed file before its packing."""
    lower = name.lower()
    for packed in PACKED:
        lower = lower.removesuffix(packed)
    return Path(lower).suffix


def read_file(
    path: Path, max_bytes: int = MAX_ROW_BYTES, meter: Meter | None = None
) -> Iterator[tuple[Place, Any]]:
    """(place, row) of each row; a row that cannot be read is `Unreadable`.

    Raises:
        UserError: the file is of no kind that holds rows, or broken.
    """
    meter = meter or Meter()
    with open_unpacked(path) as content:
        head = content.read(HEAD)
    if head.startswith(b"PAR1"):
        rows = read_parquet(path, max_bytes, meter)
    elif head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        rows = read_arrow(path, max_bytes, meter)
    elif endings(path.name) in (".csv", ".tsv"):
        rows = read_csv(path, max_bytes, meter)
    else:
        rows = _read_json(path, head, max_bytes, meter)
    name = str(path)
    for number, row in rows:
        yield Place(name, number), row


def _read_json(path: Path, head: bytes, max_bytes: int, meter: Meter) -> Iterator[tuple[int, Any]]:
    lines = is_lines(head)
    ending = endings(path.name)
    if ending in TABLES:
        raise UserError(f"{path} is not the file that its name says: it begins with {head[:16]!r}")
    if lines is None and ending not in JSON:
        raise NoRows(
            f"{path} holds no rows that DS2 reads: JSON Lines, a JSON list, CSV or TSV (by their names), "
            f"Parquet, Arrow; it begins with {head[:16].decode('utf-8', 'replace')!r}"
        )
    return read_lines(path, max_bytes, meter) if lines is not False else read_list(path, max_bytes, meter)
