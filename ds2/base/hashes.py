"""Hashes: of JSON-ready values, of files, and of folders, remembered by size and time so that a large model
is read once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from ds2.base.drafts import replacing
from ds2.base.errors import MissingInput


def canonical_json(value: Any) -> bytes:
    """One byte string for equal values, whatever their order of keys."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def fingerprint(value: Any) -> str:
    """The first 16 hex digits of the SHA-256 of a JSON-ready value."""
    return hashlib.sha256(canonical_json(value)).hexdigest()[:16]


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's content."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@cache
def content_hashes(memory: Path) -> ContentHashes:
    """The hashes remembered in a file: read once a process. `memory` is absolute."""
    return ContentHashes(memory)


class ContentHashes:
    """SHA-256 by path, valid while a file's size and modification time stay the same.

    Args:
        memory: JSON file that keeps the hashes between processes. Losing it costs time only.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):  # absent, or cut off while it was written: hash again
            self._known = json.loads(memory.read_text(encoding="utf-8"))

    def of(self, path: Path) -> str:
        """One fingerprint of a file, or of every file below a folder and its relative name (hidden ones
        aside).
        """
        path = path.expanduser().resolve()
        if path.is_file():
            return self.file(path)[:16]
        if not path.is_dir():
            raise MissingInput(f"{path}: no such file or folder")
        below = sorted(p.relative_to(path) for p in path.rglob("*") if p.is_file())
        visible = [p for p in below if not any(part.startswith(".") for part in p.parts)]
        return fingerprint({str(p): self.file(path / p) for p in visible})

    def file(self, path: Path) -> str:
        """Hex SHA-256 of one file."""
        path = path.expanduser().resolve()
        stat = path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns]
        known = self._known.get(str(path))
        if known is not None and known[:2] == stamp:
            return str(known[2])
        digest = file_sha256(path)
        self._known[str(path)] = [*stamp, digest]
        self._save()
        return digest

    def _save(self) -> None:
        with contextlib.suppress(OSError):  # a read-only store still works, without memory
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._memory) as draft:
                draft.write_text(json.dumps(self._known), encoding="utf-8")
