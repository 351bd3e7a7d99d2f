"""What one row may hold: a few bytes, packed, unpack to any number of blanks, values or columns."""

from __future__ import annotations

import re

MOST_VALUES = 1_000_000
"""Values in a row, those within others and in lists too: a row of more is bad. A value of two bytes in a file
takes tens in memory.
"""
MOST_BLANK = 100_000
"""Blank lines in a row; more are no pool."""
TOO_MANY = f"holds too many values (more than {MOST_VALUES:,})"

_MARKS = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{,\]}]'
"""A text as a whole, so that nothing in it counts; what begins, parts and ends values."""
_OF_BYTES, _OF_TEXT = re.compile(_MARKS.encode(), re.DOTALL), re.compile(_MARKS, re.DOTALL)


def too_many_values(json: bytes | str, at: int = 0) -> bool:
    """Whether the value of JSON that begins there holds more than `MOST_VALUES`: told by its commas and
    brackets, before it is made into objects.
    """
    if len(json) - at <= MOST_VALUES:
        return False
    if isinstance(json, bytes):
        if sum(json.count(mark, at) for mark in (b",", b"[", b"{")) <= MOST_VALUES:
            return False
        marks = (chr(found[0][0]) for found in _OF_BYTES.finditer(json, at))
    else:
        if sum(json.count(mark, at) for mark in ",[{") <= MOST_VALUES:
            return False
        marks = (found[0][0] for found in _OF_TEXT.finditer(json, at))
    count = depth = 0
    for mark in marks:
        if mark in "]}":
            depth -= 1
        elif mark != '"':
            count += 1
            depth += mark != ","
        if count > MOST_VALUES:
            return True
        if depth <= 0:  # the value ends, or is a text alone
            return False
    return False
