"""YAML from outside: what would not end, or would need endless memory, is refused before its values are made.

A few lines of YAML can name ten million values (a list of aliases of a list of aliases), hold themselves, or
be deeper than Python recurses; whoever reads them finds out by a hang, or by an error without a place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from ds2.base.errors import UserError
from ds2.base.json_files import read_bytes

MOST_BYTES = 1024**2
"""The largest file that is read: the project's own have a few lines."""
DEEPEST = 50
"""Mappings and lists within one another, aliases followed."""
MOST_VALUES = 20_000
"""Values of a file, those that aliases repeat among them."""
_DIGITS = 4300
"""Python reads no whole number of more."""
_WHOLE_NUMBER = re.compile(r"[-+]?[0-9][0-9_:]*")


def check_yaml(path: Path, name: str | None = None) -> None:
    """Raises UserError, in one line with the file and where known the line, for a file that is no YAML, no
    regular file, or beyond what is read of strangers.

    Args:
        name: how the line begins; None: with the path.
    """
    try:
        status = path.stat()
        _check(path, name or str(path), status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise UserError(f"{name or path} cannot be read: {error.strerror or error}") from error


@lru_cache(maxsize=1024)
def _check(path: Path, name: str, size: int, changed: int) -> None:
    """Once for each state of a file: a sweep reads its choices for every run."""
    try:
        text = read_bytes(path, MOST_BYTES).decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{name}: no YAML (not UTF-8)") from error
    except ValueError as error:  # which names the file
        raise UserError(f"{name}: {error}" if name != str(path) else str(error)) from error
    try:
        _walk(name, yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}, line {mark.line + 1}" if mark else name
        raise UserError(f"{where}: no YAML ({error.problem or error.context})") from error
    except yaml.reader.ReaderError as error:
        raise UserError(f"{name}: no YAML ({error.reason})") from error


@dataclass
class _Node:
    """A mapping or a list that is being read, or what an anchor names."""

    anchor: str | None = None
    values: int = 1
    depth: int = 0

    def take(self, other: _Node) -> None:
        self.values += other.values
        self.depth = max(self.depth, other.depth + 1)


def _walk(name: str, events: Iterable[yaml.Event]) -> None:
    """Follow what the parser finds, which makes no values yet."""
    named, parents = dict[str | None, _Node](), [_Node()]

    def ended(node: _Node) -> None:
        if node.anchor is not None:
            named[node.anchor] = node
        parents[-1].take(node)

    for event in events:
        fault = None
        if isinstance(event, yaml.CollectionStartEvent):
            named.pop(event.anchor, None)
            parents.append(_Node(event.anchor))
        elif isinstance(event, yaml.CollectionEndEvent):
            ended(parents.pop())
        elif isinstance(event, yaml.ScalarEvent):
            fault = _number_fault(event)
            ended(_Node(event.anchor))
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in named:
                fault = f"*{event.anchor} names nothing that stands before it, or what it is in"
            else:
                parents[-1].take(named[event.anchor])
        if len(parents) - 1 + parents[-1].depth > DEEPEST:
            fault = f"nested more than {DEEPEST} deep"
        if parents[-1].values > MOST_VALUES:
            fault = f"more than {MOST_VALUES:,} values, those that aliases repeat among them"
        if fault is not None:
            mark = event.start_mark
            raise UserError(f"{name}, line {mark.line + 1}: {fault}" if mark else f"{name}: {fault}")


def _number_fault(event: yaml.ScalarEvent) -> str | None:
    long = len(event.value) > _DIGITS and event.implicit[0] and _WHOLE_NUMBER.fullmatch(event.value)
    return f"a number of more than {_DIGITS:,} digits" if long else None
