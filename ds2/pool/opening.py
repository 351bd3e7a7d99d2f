"""Opening a pool's files: unpacked by what they begin with, decoded by their marks, measured while read."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from ds2.base.errors import UserError

BLOCK = 1 << 20
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\x00": "xz", b"BZh": "bzip2"}
_NOT_READ = {b"PK\x03\x04": "a zip archive: unpack it", b"%PDF": "a PDF", b"SQLite format 3": "a database"}


class Meter:
    """Counts the bytes that are read of a pool's files, as they lie on disk, and shows them."""

    def __init__(self, bar: Any = None) -> None:
        self._bar = bar

    def add(self, count: int) -> None:
        """So many more."""
        if self._bar is not None:
            self._bar.update(count)


class _Counted(io.RawIOBase):
    """A file whose reads are counted."""

    def __init__(self, path: Path, meter: Meter) -> None:
        self._file = path.open("rb", buffering=0)
        self._meter = meter

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer) or 0
        self._meter.add(count)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


@contextmanager
def open_unpacked(path: Path, meter: Meter | None = None) -> Iterator[IO[bytes]]:
    """A file's bytes, unpacked (gzip, zstd, xz, bzip2) whatever its name.

    Raises:
        UserError: it is cut off or broken, or of a kind that holds no rows.
    """
    packed = ""
    try:
        with io.BufferedReader(_Counted(path, meter or Meter()), BLOCK) as raw:
            head = raw.peek(16)[:16]
            for mark, what in _NOT_READ.items():
                if head.startswith(mark):
                    if path.suffix.lower() == ".xlsx":
                        raise UserError(f"{path} is an Excel file: save it as CSV")
                    raise UserError(f"{path} is {what}")
            packed = next((kind for mark, kind in _PACKED.items() if head.startswith(mark)), "")
            with _unpacked(raw, packed) as content:
                yield content
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise UserError(f"{path} is not a whole {packed or 'gzip'} file: {error}") from error
    except OSError as error:
        if packed and error.errno is None:  # the unpacker's, not the system's
            raise UserError(f"{path} is not a whole {packed} file: {error}") from error
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error


def _unpacked(raw: IO[bytes], packed: str) -> IO[bytes]:
    if packed == "gzip":
        return cast("IO[bytes]", io.BufferedReader(cast(Any, gzip.GzipFile(fileobj=raw)), BLOCK))
    if packed == "xz":
        return cast("IO[bytes]", io.BufferedReader(cast(Any, lzma.LZMAFile(raw)), BLOCK))
    if packed == "bzip2":
        return cast("IO[bytes]", io.BufferedReader(cast(Any, bz2.BZ2File(raw)), BLOCK))
    if packed == "zstd":
        return cast("IO[bytes]", io.BufferedReader(_Zstd(raw), BLOCK))
    return raw


class _Zstd(io.RawIOBase):
    """A zstd file unpacked by pyarrow, which is here anyway."""

    def __init__(self, raw: IO[bytes]) -> None:
        import pyarrow as pa

        self._stream = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class LineGuard(io.RawIOBase):
    """Content as it is, up to a line of more than `most` bytes, which is refused before it is in memory."""

    def __init__(self, path: Path, content: IO[bytes], most: int) -> None:
        self._path, self._content, self._most = path, content, most
        self._since = 0
        """Bytes since the last line feed."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._content.read(min(len(buffer), BLOCK))
        end = block.rfind(b"\n")
        self._since = self._since + len(block) if end < 0 else len(block) - end
        if self._since > self._most:
            raise UserError(f"{self._path} has a line that is too long (pool.max_row_bytes={self._most})")
        buffer[: len(block)] = block
        return len(block)


def encoding_of(head: bytes) -> str:
    """`utf-8-sig`, or UTF-16 or UTF-32, by the first bytes: a mark, or the zeros between letters."""
    found = json.detect_encoding(head[:4]) if len(head) >= 4 else "utf-8"
    return "utf-8-sig" if found == "utf-8" else found


def utf8_lines(content: IO[bytes], head: bytes) -> IO[bytes]:
    """The content to be read line by line in UTF-8, without a byte order mark."""
    encoding = encoding_of(head)
    if encoding == "utf-8-sig":
        if head.startswith(codecs.BOM_UTF8):
            content.read(len(codecs.BOM_UTF8))
        return content
    return cast("IO[bytes]", io.BufferedReader(_Recoded(content, encoding), BLOCK))


class _Recoded(io.RawIOBase):
    """UTF-16 or UTF-32 as UTF-8."""

    def __init__(self, content: IO[bytes], encoding: str) -> None:
        self._content = content
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            data = self._content.read(BLOCK)
            self._rest = self._decoder.decode(data, final=not data).encode("utf-8", "surrogatepass")
            if not data:
                break
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count
