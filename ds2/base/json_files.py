"""JSON and JSON Lines files: one reader and one writer of each for the whole project.

What is written is JSON to the letter: a number that is not finite is refused. A line of JSON Lines ends at a
line feed and nowhere else: U+2028, U+0085 and form feeds within a text are text.
"""

from __future__ import annotations

import codecs
import gzip
import json
import os
import stat
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from ds2.base.errors import MissingInput, UserError

MOST_BYTES = 256 * 1024**2
"""The largest JSON file that is read: the project's own are far smaller."""
DEEPEST = 100
"""Objects and lists within one another that a JSON file may hold."""


def json_text(value: Any) -> str:
    """JSON readable by a person. Raises ValueError for a number that is not finite."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def write_json(path: Path, value: Any) -> None:
    """JSON readable by a person. Raises ValueError for a number that is not finite."""
    path.write_text(json_text(value), encoding="utf-8")


def read_json(path: Path) -> Any:
    """The value in a JSON file, whoever wrote it.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no regular file, larger than `MOST_BYTES`, or what `parse_json` refuses.
    """
    return parse_json(read_bytes(path, MOST_BYTES))


def read_bytes(path: Path, most: int) -> bytes:
    """A file's content, whoever wrote it.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no regular file, or larger than `most`.
    """
    with open(path, "rb", opener=_at_once) as file:  # which Path.open does not take
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{path} is no regular file")
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{path} is larger than {most:,} bytes")
    return content


def _at_once(path: str, flags: int) -> int:
    """Open without waiting: a named pipe waits for somebody to write to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def parse_json(text: str | bytes) -> Any:
    """The value in a text. Raises ValueError where it is cut off, no JSON, no UTF-8, or nested deeper than
    `DEEPEST`: whoever walks it later needs no limit of their own.
    """
    read = text if isinstance(text, str) else text.decode("utf-8")
    try:
        value = json.loads(read)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if read.count("{") + read.count("[") <= DEEPEST:
        return value
    level = _nested([value])
    for _ in range(DEEPEST):
        if not level:
            return value
        level = [each for parent in level for each in _nested(parent)]
    raise ValueError("nested too deeply")


def _nested(parent: Any) -> list[Any]:
    """The objects and lists in one."""
    return [
        each for each in (parent.values() if type(parent) is dict else parent) if type(each) in (dict, list)
    ]


def json_line(row: Mapping[str, Any]) -> bytes:
    """One row as a line of JSON Lines. Raises ValueError for a number that is not finite.

    A lone surrogate, which has no place in a file, becomes a question mark.
    """
    return json.dumps(row, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace") + b"\n"


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line. Raises ValueError for a number that is not finite."""
    with path.open("wb") as lines:
        for row in rows:
            lines.write(json_line(row))


def read_json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """(line, counted from 1; value) of each line that is not blank.

    Raises:
        MissingInput: no such file.
        UserError: naming the line that is no JSON, or a `.gz` file that is cut off.
    """
    for number, line in numbered_lines(path):
        try:
            yield number, parse_json_line(line)
        except ValueError as error:
            raise UserError(f"{path}, line {number}: {error}") from error


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(line, counted from 1; its bytes) of each line that is not blank, without a byte order mark.

    Raises MissingInput and UserError as `read_json_lines`.
    """
    with open_bytes(path) as lines:
        for number, line in enumerate(lines, start=1):
            content = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if content.strip():
                yield number, content


def parse_json_line(line: bytes) -> Any:
    """The value in a line; NaN and Infinity, which some programs write, are numbers. Raises ValueError saying
    why it is none.
    """
    try:
        return json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte {error.start} of the line)") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg} at column {error.colno})") from error
    except RecursionError as error:
        raise ValueError("not JSON (nested too deeply)") from error
    except ValueError as error:  # Python reads no whole number of more than 4,300 digits
        raise ValueError("not JSON (a whole number of too many digits)") from error


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """A file's bytes to read, unpacked where its name ends in `.gz`.

    Raises MissingInput where there is none, UserError where a packed file is cut off or is not packed.
    """
    if not path.is_file():
        raise MissingInput(f"{path}: no such file")
    try:
        packed = path.name.endswith(".gz")
        with cast("IO[bytes]", gzip.open(path) if packed else path.open("rb")) as content:
            yield content
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path} is not a whole gzip file: {error}") from error
