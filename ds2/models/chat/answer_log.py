"""Every raw answer of a chat model, on disk before it counts: what a rerun replays instead of asking again.

An answer's key is the hash of everything that decides it. Raw text stays here, so that a better parser can
read old answers anew.
"""

from __future__ import annotations

import json
from pathlib import Path

from ds2.models.chat import Answer
from ds2.models.kept_log import KeptLog

FILE = "answers.sqlite"
_COLUMNS = "key, text, finish, prompt_tokens, cached_tokens, completion_tokens, distribution, model, changes"
_TYPED = _COLUMNS.replace("key,", "key TEXT PRIMARY KEY,")
_SCHEMA = f"CREATE TABLE IF NOT EXISTS answers ({_TYPED}, received INTEGER DEFAULT (unixepoch()))"


class AnswerLog(KeptLog):
    """The log in one folder, open: see `KeptLog`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / FILE, _SCHEMA)
        if "changes" not in {column[1] for column in self._execute("PRAGMA table_info(answers)")}:
            self._execute("ALTER TABLE answers ADD COLUMN changes")  # a log of before there were any

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
