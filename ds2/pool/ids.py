"""Ids: as rows give them, made from their content, and told apart by the file that they stand in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ds2.base.words import quoted
from ds2.pool.errors import BadRow
from ds2.pool.messages import Message


def said_id(raw: Any) -> str:
    """The row's id, for an error."""
    given = _plain_id(raw.get("id")) if isinstance(raw, dict) else None
    return "" if given is None else f" (id {quoted(given)})"


def _plain_id(value: Any) -> str | None:
    try:
        return given_id(value)
    except BadRow:
        return None


def given_id(value: Any) -> str | None:
    """A row's id as text; None where it has none. Raises BadRow for another kind of value."""
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, bool) or not (value is None or isinstance(value, int | float)):
        raise BadRow("id", f"is a {type(value).__name__}, not a text or number", "id is no text or number")
    if value is None or value != value:
        return None
    if isinstance(value, float) and value.is_integer():  # a column of whole numbers with gaps
        return str(int(value))
    return str(value)


def id_of_content(messages: tuple[Message, ...]) -> str:
    """An id that a row keeps wherever it stands."""
    content = json.dumps([[m.role, m.text] for m in messages]).encode()
    return f"sha_{hashlib.sha256(content).hexdigest()[:16]}"


def prefixes(files: Iterable[str]) -> Callable[[str], str]:
    """What stands before the ids of each file: its name without endings, with as much of its folders as tells
    it from the others.
    """
    names = short_names(files, lambda path: path.name.split(".")[0] or path.name)
    return lambda file: names.get(file, Path(file).name)


def short_names(files: Iterable[str], last: Callable[[Path], str] = lambda path: path.name) -> dict[str, str]:
    """File -> its name, as `last` gives it, with as many of its folders as tell all files apart."""
    paths = [Path(file) for file in dict.fromkeys(files)]
    names: dict[str, str] = {}
    for depth in range(1, 1 + max((len(path.parts) for path in paths), default=0)):
        names = {str(p): "/".join((*p.parts[-depth:-1], last(p))) for p in paths}
        if len(set(names.values())) == len(paths):
            break
    return names
