"""The file of an offline run of W&B, which says nothing where the disk is too full to write all of it.

It is a log as LevelDB writes one: blocks of 32 KiB that hold records, cut into pieces where a block ends; a
piece stands behind its checksum, its length and its kind.
"""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

_HEAD = b":W&B\xe1\xbe\x00"
"""A file with another one is in a form that nothing is known of."""
_BLOCK = 32 * 1024
_PIECE = struct.Struct("<IHB")
_FULL, _LAST = 1, 4
"""Kinds of a piece with which a record ends."""
_PATIENCE = 5.0
"""Seconds without a byte more, after which a file is taken for what it will be: `finish` returns a moment
before the last of them are written."""


def refuse_cut_off(file: Path) -> None:
    """Wait for the end of a run that has finished. Raises OSError where it does not come."""
    size, since = -1, time.monotonic()
    while not is_whole(file):
        if size != file.stat().st_size:
            size, since = file.stat().st_size, time.monotonic()
        if time.monotonic() - since > _PATIENCE:
            raise OSError(f"{file} is cut off (a full disk?); the same command tracks the run again")
        time.sleep(0.1)


def is_whole(file: Path) -> bool:
    """Whether the record that ends a run is there, and all before it."""
    from wandb.proto.wandb_internal_pb2 import Record

    content = file.read_bytes()
    if len(content) > len(_HEAD) and not content.startswith(_HEAD):
        return True
    return any(Record.FromString(record).HasField("exit") for record in _records(content))


def _records(content: bytes) -> Iterator[bytes]:
    """The records, up to the first that is not as it was written."""
    at, record = len(_HEAD), b""
    while True:
        left = _BLOCK - at % _BLOCK
        at += left if left < _PIECE.size else 0
        if at + _PIECE.size > len(content):
            return
        checksum, length, kind = _PIECE.unpack_from(content, at)
        at += _PIECE.size
        piece = content[at : at + length]
        if zlib.crc32(piece, zlib.crc32(bytes([kind]))) != checksum:
            return
        at += length
        record += piece
        if kind in (_FULL, _LAST):
            yield record
            record = b""
