"""`pool.columns`: what the rows call the things that DS2 knows by other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ds2.base.errors import UserError
from ds2.pool.errors import BadRow
from ds2.pool.pool import has, walk

NAMES = {
    "messages": "messages", "system": "system", "user": "instruction", "context": "context",
    "assistant": "output", "history": "history", "text": "text", "chosen": "chosen", "tools": "tools",
    "id": "id", "source": "source",
}  # fmt: skip
"""What a person may map -> the field under which shapes look for it."""
_COPIED = ("id", "source")
"""These stay under their own names too, where a rater's column may ask for them."""
_REQUIRED = ("messages", "user", "assistant", "text", "chosen")


class Renaming:
    """A row with its fields under the names that DS2 knows.

    Raises:
        UserError: no such mapping, or a name that DS2 does not know.
    """

    def __init__(self, columns: Any) -> None:
        columns = {} if columns is None else columns
        if not isinstance(columns, Mapping) or not all(isinstance(path, str) for path in columns.values()):
            raise UserError(f"pool.columns={columns} is not of the form {{user: FIELD, assistant: FIELD}}")
        unknown = sorted(set(columns) - set(NAMES))
        if unknown:
            raise UserError(f"pool.columns: {unknown[0]} is none of {', '.join(NAMES)}")
        self._columns: Mapping[str, str] = columns

    def __bool__(self) -> bool:
        return bool(self._columns)

    def apply(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The row, renamed. A field that stands where another is put gives way to it, under `NAME (given)`.

        Raises:
            BadRow: it lacks a field that makes its conversation.
        """
        moved = {path for name, path in self._columns.items() if name not in _COPIED}
        row = {key: value for key, value in raw.items() if key not in moved}
        for name, path in self._columns.items():
            parts = path.split(".")
            value = raw[path] if path in raw else walk(raw, parts)
            if value is None:
                if name in _REQUIRED and not (path in raw or has(raw, parts)):
                    raise BadRow(path, f"is missing (pool.columns.{name})", f"{path} is missing")
                continue
            target = NAMES[name]
            if target in row and target != path:
                row[f"{target} (given)"] = row.pop(target)
            row[target] = value
        return row
