"""What is wrong with a row."""

from __future__ import annotations

from dataclasses import dataclass

from ds2.base.errors import UserError


class BadRow(ValueError):
    """A row that is not a usable conversation."""

    def __init__(self, field: str, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason or message
        """The kind of fault, to count by."""


class NoRows(UserError):
    """A file that holds something else than rows."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands in place of a row that cannot be read: a line that is not JSON."""

    message: str
