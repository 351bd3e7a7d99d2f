"""Every raw answer of a chat model, on disk before it counts: what a rerun replays instead of asking again.

One SQLite file (write-ahead log), shared by everything that asks into one folder and by all processes: an
answer's key is the hash of everything that decides it. `add` returns when the operating system has the
answer, so it survives the death of the process at any moment; a power failure may cost those since SQLite's
last checkpoint. Raw text stays here, so that a better parser can read old answers anew.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

from ds2.base.errors import UserError
from ds2.models.chat import Answer

FILE = "answers.sqlite"
_COLUMNS = "key, text, finish, prompt_tokens, cached_tokens, completion_tokens, distribution, model, changes"
_TYPED = _COLUMNS.replace("key,", "key TEXT PRIMARY KEY,")
_SCHEMA = f"CREATE TABLE IF NOT EXISTS answers ({_TYPED}, received INTEGER DEFAULT (unixepoch()))"
_WAIT = 120.0
"""Seconds to wait for another process that is writing."""


class AnswerLog:
    """The log in one folder, open. Safe to share between processes; an instance belongs to one thread.

    Raises:
        UserError: the folder or the file cannot be written or read, then or later, or the file is not a log.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=_WAIT, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute(_SCHEMA)
            if "changes" not in {column[1] for column in self._db.execute("PRAGMA table_info(answers)")}:
                self._db.execute("ALTER TABLE answers ADD COLUMN changes")  # a log of before there were any
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._db.close()

    def get(self, key: str) -> Answer | None:
        """The answer with this key, if it was ever received."""
        row = self._execute(f"SELECT {_COLUMNS} FROM answers WHERE key = ?", key).fetchone()
        if row is None:
            return None
        key, text, finish, prompt, cached, completion, distribution, model, changes = row
        shares = None if distribution is None else tuple(json.loads(distribution))
        changed = tuple(json.loads(changes)) if changes else ()
        return Answer(key, text, finish, prompt, cached, completion, shares, model, changes=changed)

    def add(self, answer: Answer) -> None:
        """Keep an answer; the first one under a key stays. Failed deliveries are no answers and are not
        kept."""
        if answer.finish == "failed":
            return
        shares = None if answer.distribution is None else json.dumps(answer.distribution)
        changes = json.dumps(answer.changes) if answer.changes else None
        text = answer.text.encode("utf-8", "replace").decode()  # a lone surrogate has no place in a file
        self._execute(
            f"INSERT OR IGNORE INTO answers ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            answer.key, text, answer.finish, answer.prompt_tokens, answer.cached_tokens,
            answer.completion_tokens, shares, answer.model, changes,
        )  # fmt: skip

    def _execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        try:
            return self._db.execute(statement, values)
        except sqlite3.Error as error:  # a full disk, a damaged file
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> UserError:
        return UserError(f"the answer log {self.path} cannot be used: {error}")
