"""JSON and JSON Lines files: one reader and one writer of each for the whole project.

What is written is JSON to the letter: a number that is not finite is refused. A line of JSON Lines ends at a
line feed and nowhere else: U+2028, U+0085 and form feeds within a text are text.
"""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from ds2.base.errors import MissingInput, UserError


def json_text(value: Any) -> str:
    """JSON readable by a person. Raises ValueError for a number that is not finite."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def write_json(path: Path, value: Any) -> None:
    """JSON readable by a person. Raises ValueError for a number that is not finite."""
    path.write_text(json_text(value), encoding="utf-8")


def read_json(path: Path) -> Any:
    """The value in a JSON file. Raises ValueError where it is cut off or no JSON."""
    return json.loads(path.read_text(encoding="utf-8"))


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
