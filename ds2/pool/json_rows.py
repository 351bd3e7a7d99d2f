"""Rows of JSON: Lines, a list, or an object that holds a list; told apart by content, read as a stream."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ds2.base.errors import UserError
from ds2.base.json_files import parse_json_line
from ds2.pool.bounds import MOST_BLANK, MOST_VALUES, TOO_MANY, too_many_values
from ds2.pool.errors import NoRows, Unreadable
from ds2.pool.opening import Meter, encoding_of, open_unpacked, utf8_lines

HOLDERS = ("data", "instances", "examples", "rows")
"""Under one of these an object holds its list of rows."""
HEAD = 1 << 16
"""Bytes that tell what a file is."""
_HOLDER = re.compile(r"\s*\{\s*\"(?:%s)\"\s*:\s*\[\s*\{" % "|".join(HOLDERS))  # noqa: UP031
_INDENTED = re.compile(r"\{\s*(\"[^\"]*\"\s*:\s*[\[{]?)?\s*|.*[,\[{]\s*")
_BLOCK = 1 << 20
_INK = re.compile(r"[^ \t\r\n\ufeff]")


def is_lines(head: bytes) -> bool | None:
    """Whether a file that begins so holds JSON Lines (else one list or object); None: it is no JSON."""
    text = head.decode(encoding_of(head), "ignore").lstrip("\ufeff \t\r\n")
    if not text:
        return True
    if text[0] not in "{[":
        return None
    lines = [line for line in text.split("\n") if line.strip()]
    first = _parsed(lines[0])
    second = _parsed(lines[1]) if len(lines) > 1 else None
    if text[0] == "[":
        return isinstance(first, list) and isinstance(second, dict | list)
    if isinstance(first, dict):
        holds = any(_holds_rows(first.get(name)) for name in HOLDERS)
        return not holds or isinstance(second, dict)
    if _HOLDER.match(text):
        return False
    return len(lines) == 1 or isinstance(second, dict) or not _INDENTED.fullmatch(lines[0])


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _holds_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def read_lines(path: Path, max_bytes: int, meter: Meter) -> Iterator[tuple[int, Any]]:
    """(line, counted from 1; row) of JSON Lines; blank lines are none, and one that is no JSON, or longer
    than `max_bytes`, is `Unreadable`.
    """
    with open_unpacked(path, meter) as content:
        lines = utf8_lines(content, _head(content))
        number = blank = 0
        try:
            while line := lines.readline(max_bytes + 1):
                number += 1
                blank = blank + 1 if line.isspace() else 0
                if blank > MOST_BLANK:
                    raise UserError(
                        f"{path}, row {number}: {MOST_BLANK:,} blank lines; the file may be damaged"
                    )
                if len(line) > max_bytes and not line.endswith(b"\n"):
                    count = len(line) + _skip_line(lines)
                    yield number, Unreadable(f"too long ({count:,} bytes; pool.max_row_bytes={max_bytes})")
                elif not blank:
                    yield number, _row(line)
        except UnicodeDecodeError as error:
            raise UserError(f"{path}, row {number + 1}: not {error.encoding} ({error.reason})") from error


def _head(content: Any) -> bytes:
    head: bytes = content.peek(4)[:4]
    return head


def _skip_line(lines: IO[bytes]) -> int:
    count = 0
    while piece := lines.readline(_BLOCK):
        count += len(piece)
        if piece.endswith(b"\n"):
            break
    return count


def _row(line: bytes) -> Any:
    if too_many_values(line):
        return Unreadable(TOO_MANY)
    try:
        return parse_json_line(line)
    except ValueError as error:
        cut = "" if line.endswith(b"\n") else "; it is the last line and has no end: the file may be cut"
        return Unreadable(f"{error}{cut}")


def read_list(path: Path, max_bytes: int, meter: Meter) -> Iterator[tuple[int, Any]]:
    """(row, counted from 1; row) of a list, or of the list that an object holds under `data`.

    Raises:
        UserError: no such list, or the row at which the file is no JSON.
    """
    with open_unpacked(path, meter) as content:
        stream = _Stream(path, content, max_bytes)
        start = stream.peek()
        if start == "{":
            stream.enter_holder()
        yield from enumerate(stream.items(), 1)


class _Stream:
    """JSON values one by one from a stream."""

    def __init__(self, path: Path, content: Any, max_bytes: int) -> None:
        self._path, self._content, self._max = path, content, max_bytes
        self._decoder = codecs.getincrementaldecoder(encoding_of(_head(content)))("strict")
        self._text, self._at, self._ended = "", 0, False
        self._values = json.JSONDecoder()
        self._done = 0

    def peek(self) -> str:
        """The next character that is not white space; empty at the end."""
        blank = 0
        while (ink := _INK.search(self._text, self._at)) is None:
            blank += len(self._text) - self._at
            self._at = len(self._text)
            if blank > self._max:
                raise self._fault(f"more blanks than a row may have bytes (pool.max_row_bytes={self._max})")
            if not self._fill():
                return ""
        self._at = ink.start()
        return ink[0]

    def _fill(self) -> bool:
        if self._ended:
            return False
        # Twice as much each time a value does not fit, so that a long one is parsed a few times only.
        data = self._content.read(max(_BLOCK, len(self._text) - self._at))
        self._ended = not data
        try:
            text = self._decoder.decode(data, final=self._ended)
        except UnicodeDecodeError as error:
            raise self._fault(f"not {error.encoding}") from error
        self._text, self._at = self._text[self._at :] + text, 0
        return True

    def _value(self) -> Any:
        self.peek()
        grown = False
        while True:
            if grown and too_many_values(self._text, self._at):
                raise self._fault(TOO_MANY)
            try:
                value, end = self._values.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended or len(self._text) - self._at > self._max or not self._fill():
                    cut = ": the file is cut" if self._ended and error.pos >= len(self._text.rstrip()) else ""
                    raise self._fault(f"not JSON ({error.msg}){cut}") from error
                grown = True
                continue
            except (ValueError, RecursionError) as error:
                raise self._fault("not JSON (nested too deeply, or a number of too many digits)") from error
            if end < len(self._text) or not self._fill():
                if end - self._at > MOST_VALUES and too_many_values(self._text, self._at):
                    raise self._fault(TOO_MANY)
                self._at = end
                return value

    def _fault(self, what: str) -> UserError:
        return UserError(f"{self._path}, row {self._done + 1}: {what}")

    def _expect(self, character: str) -> None:
        if self.peek() != character:
            raise self._fault(f"not JSON ({character!r} is missing)")
        self._at += 1

    def enter_holder(self) -> None:
        """Go into the object, up to its list of rows."""
        self._expect("{")
        while self.peek() == '"':
            name = self._value()
            self._expect(":")
            if self.peek() == "[" and name in HOLDERS:
                return
            self._value()
            if self.peek() != ",":
                break
            self._at += 1
        raise NoRows(f"{self._path} holds neither a list of rows nor an object with a list under `data`")

    def items(self) -> Iterator[Any]:
        """The items of the list that comes next."""
        self._expect("[")
        if self.peek() == "]":
            return
        while True:
            yield self._value()
            self._done += 1
            if self.peek() == "]":
                return
            if self.peek() == "":
                raise self._fault("not JSON: the file is cut")
            self._expect(",")
