"""What is known of the batches at a server: on disk before anything relies on it.

One SQLite file, and beside it the input files that the server has not finished with. A batch passes the steps

    sealed -> uploading -> uploaded -> submitting -> submitted -> answers stored, batch forgotten

`uploading` and `submitting` are written before the call whose outcome a crash would leave unknown: a batch
found in one of them may exist at the server already and is looked for there before it is made. A request is
in one batch at a time, so it is not sent again while its batch lives, and not after its answer was stored.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from ds2.base.errors import UserError
from ds2.config import ChatConfig
from ds2.models.chat import Answer
from ds2.models.chat.served.address import server_name

_FILE = "batches.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (
    number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, step TEXT, file_id TEXT, batch_id TEXT,
    sealed_at INTEGER DEFAULT (unixepoch())
);
CREATE TABLE IF NOT EXISTS requests (key TEXT PRIMARY KEY, batch TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS requests_of_batch ON requests (batch);
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT) WITHOUT ROWID;
CREATE TEMP TABLE asked (key TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_AT_ONCE = 1000
"""Answers read from disk at a time."""


def folder_of(config: ChatConfig, answers: Path) -> Path:
    """Where the state of batches is, below the folder of the answer log: one a model and server."""
    server = hashlib.sha256(server_name(config.base_url).encode()).hexdigest()[:8]
    return answers / "batches" / f"{re.sub('[^A-Za-z0-9._-]+', '_', config.model)}-{server}"


def sent(folder: Path) -> set[str]:
    """Keys of the requests that are in batches at the server, or answered by one; reads what other processes
    may write."""
    if not (folder / _FILE).exists():
        return set()
    known = """
        SELECT key FROM requests JOIN batches ON batch = name WHERE step IN ('submitting', 'submitted')
        UNION SELECT key FROM answers"""
    try:
        with closing(sqlite3.connect(f"{(folder / _FILE).absolute().as_uri()}?mode=ro", uri=True)) as db:
            return {key for (key,) in db.execute(known)}
    except sqlite3.Error as error:
        raise UserError(f"cannot read the state of batches in {folder}: {error}") from error


@dataclass(frozen=True)
class Batch:
    """One batch that the server has not answered yet."""

    name: str
    """Hash of its content and its number: names the file at the server and stands in the batch's metadata."""
    step: str
    sealed_at: int
    """Unix time."""
    file_id: str | None = None
    batch_id: str | None = None


class BatchState:
    """The batches of one model at one server, of which one process at a time has care.

    Raises:
        UserError: another process has it, or the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / "lock", timeout=0)
            self._lock.acquire()
        except Timeout as error:
            raise UserError(
                f"another run is waiting for the batches in {folder}; let it finish, then run this again"
            ) from error
        except OSError as error:
            raise UserError(f"cannot write the state of batches to {folder}: {error.strerror}") from error
        self._db = sqlite3.connect(folder / _FILE, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + _SCHEMA)
        self._remove_strays()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()
        self._lock.release()

    def ask(self, key: str) -> bool:
        """Note that this request's answer is wanted; whether it has to be sent (no batch holds it, no answer
        is stored)."""
        self._db.execute("INSERT OR IGNORE INTO asked VALUES (?)", (key,))
        known = "SELECT 1 FROM requests WHERE key = ?1 UNION ALL SELECT 1 FROM answers WHERE key = ?1"
        return self._db.execute(known, (key,)).fetchone() is None

    def ask_nothing(self) -> None:
        self._db.execute("DELETE FROM asked")

    def ready(self) -> Iterator[Answer]:
        """Stored answers of the requests asked for, each once."""
        take = f"SELECT key, answer FROM asked CROSS JOIN answers USING (key) LIMIT {_AT_ONCE}"
        while rows := self._db.execute(take).fetchall():
            for key, answer in rows:
                self._db.execute("DELETE FROM asked WHERE key = ?", (key,))
                fields = json.loads(answer)
                distribution = fields.pop("distribution")
                yield Answer(**fields, distribution=None if distribution is None else tuple(distribution))

    def seal(self, draft: Draft) -> Batch:
        """Make a batch of a draft's requests: the file under its final name, then the record of it."""
        digest = draft.close()
        last = self._db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence").fetchone()[0]
        name = f"{digest[:24]}-{last + 1}"
        draft.path.rename(self.input_file(name))
        with self._transaction():
            self._db.execute("INSERT INTO batches (name, step) VALUES (?, 'sealed')", (name,))
            self._db.executemany("INSERT INTO requests VALUES (?, ?)", ((key, name) for key in draft.keys))
        return self._read("WHERE name = ?", name)[0]

    def move(
        self, batch: Batch, step: str, *, file_id: str | None = None, batch_id: str | None = None
    ) -> Batch:
        """The batch at its next step; ids that are not given stay."""
        self._db.execute(
            "UPDATE batches SET step = ?, file_id = coalesce(?, file_id), batch_id = coalesce(?, batch_id) "
            "WHERE name = ?",
            (step, file_id, batch_id, batch.name),
        )
        return self._read("WHERE name = ?", batch.name)[0]

    def finish(self, batch: Batch, answers: Iterable[Answer]) -> list[str]:
        """Store a batch's answers and forget it, at once.

        Returns:
            Its requests that are asked for and have no answer: free to be sent again.
        """
        unanswered = """
            SELECT key FROM requests JOIN asked USING (key)
            WHERE batch = ? AND NOT EXISTS (SELECT 1 FROM answers WHERE answers.key = requests.key)"""
        with self._transaction():
            rows = ((answer.key, json.dumps(asdict(answer))) for answer in answers)
            self._db.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", rows)
            left = [key for (key,) in self._db.execute(unanswered, (batch.name,))]
            self._db.execute("DELETE FROM requests WHERE batch = ?", (batch.name,))
            self._db.execute("DELETE FROM batches WHERE name = ?", (batch.name,))
        self.input_file(batch.name).unlink(missing_ok=True)
        return left

    def waiting(self) -> list[Batch]:
        """Batches that hold a request asked for, oldest first."""
        wanted = "WHERE name IN (SELECT batch FROM requests JOIN asked USING (key)) ORDER BY number"
        return self._read(wanted)

    def input_file(self, name: str) -> Path:
        return self.folder / f"{name}.jsonl"

    def _read(self, which: str, *values: str) -> list[Batch]:
        rows = self._db.execute(
            f"SELECT name, step, sealed_at, file_id, batch_id FROM batches {which}", values
        )
        return [Batch(*row) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            yield

    def _remove_strays(self) -> None:
        """Files of a process that died before it recorded them, or after it was done with them."""
        known = {self.input_file(batch.name) for batch in self._read("")}
        for path in self.folder.glob("*.jsonl"):
            if path not in known:
                path.unlink()


class Draft:
    """An input file while it is being written, one request a line."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "draft.jsonl"
        self.keys: list[str] = []
        self.bytes = 0
        self._handle = self.path.open("wb")
        self._digest = hashlib.sha256()

    def add(self, key: str, line: bytes) -> None:
        self._handle.write(line)
        self._digest.update(line)
        self.keys.append(key)
        self.bytes += len(line)

    def close(self) -> str:
        """On disk; the content's hash."""
        self._handle.flush()
        os.fsync(self._handle.fileno())
        self._handle.close()
        return self._digest.hexdigest()
