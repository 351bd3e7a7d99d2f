"""A log of what models said, on disk before it counts: one SQLite file (write-ahead log) in a folder.

Shared by everything that asks into one folder and by all processes. A row is there once `_execute` returns,
so it survives the death of the process at any moment; a power failure may cost those since SQLite's last
checkpoint.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

from ds2.base.errors import UserError

_WAIT = 120.0
"""Seconds to wait for another process that is writing."""


class KeptLog:
    """The log in one file, open. Safe to share between processes; an instance belongs to one thread.

    Raises:
        UserError: the folder or the file cannot be written or read, then or later, or the file is no log.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_WAIT, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute(schema)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._db.close()

    def _execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        try:
            return self._db.execute(statement, values)
        except sqlite3.Error as error:  # a full disk, a damaged file
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> UserError:
        return UserError(f"the log {self.path} cannot be used: {error}")
