"""Hashes: of JSON-ready values, of files, and of folders, remembered by a file's stamp so that a large model
is read once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from ds2.base.drafts import replacing
from ds2.base.errors import MissingInput
from ds2.base.json_files import read_json

_BLOCK = 4 * 1024**2
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> bytes:
    """One byte string for equal values, whatever their order of keys."""
    return _CANONICAL.encode(value).encode()


def fingerprint(value: Any) -> str:
    """The first 16 hex digits of the SHA-256 of a JSON-ready value."""
    return hashlib.sha256(canonical_json(value)).hexdigest()[:16]


def file_sha256(path: Path, read: Callable[[int], None] | None = None) -> str:
    """Hex SHA-256 of a file's content; `read`, where given, is told of the bytes as they are read."""
    with path.open("rb") as handle:
        if read is None:
            return hashlib.file_digest(handle, "sha256").hexdigest()
        digest = hashlib.sha256()
        while block := handle.read(_BLOCK):
            digest.update(block)
            read(len(block))
        return digest.hexdigest()


def content_fingerprint(path: Path, sha256: Callable[[Path], str] = file_sha256) -> str:
    """One fingerprint of a file, or of every file below a folder and its relative name (hidden ones aside),
    wherever it lies. Raises MissingInput where there is nothing.
    """
    path = path.expanduser().resolve()
    if path.is_file():
        return sha256(path)[:16]
    if not path.is_dir():
        raise MissingInput(f"{path}: no such file or folder")
    below = sorted(p.relative_to(path) for p in path.rglob("*") if p.is_file())
    visible = [p for p in below if not any(part.startswith(".") for part in p.parts)]
    return fingerprint({str(p): sha256(path / p) for p in visible})


def stamp_of(stat: os.stat_result) -> list[int]:
    """What changes with a file: size, the times of content and of state, inode.

    Whoever edits a file can set its modification time back, and not the time of that change (ctime).
    """
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


@cache
def content_hashes(memory: Path, *, trust: bool = True) -> ContentHashes:
    """The hashes remembered in a file: read once a process. `memory` is absolute; `trust` as in the class."""
    return ContentHashes(memory, trust=trust)


class ContentHashes:
    """SHA-256 by path, valid while a file's stamp stays the same.

    Args:
        memory: JSON file that keeps the hashes between processes. Losing it costs time only.
        trust: False takes no stamp for an unchanged file: each is hashed once a process.
    """

    def __init__(self, memory: Path, *, trust: bool = True) -> None:
        self._memory = memory
        self._fresh: set[str] | None = None if trust else set()
        self._known: dict[str, list[Any]] = {}
        with contextlib.suppress(OSError, ValueError):  # absent, or not what was written: hash again
            self._known = _entries(read_json(memory))

    def of(self, path: Path) -> str:
        """`content_fingerprint`, without reading again what did not change."""
        return content_fingerprint(path, self.file)

    def file(self, path: Path, read: Callable[[int], None] | None = None) -> str:
        """Hex SHA-256 of one file; `read`, where given, is told of the bytes that are read for it."""
        path = path.expanduser().resolve()
        stamp = stamp_of(path.stat())
        known = self._known.get(str(path))
        trusted = self._fresh is None or str(path) in self._fresh
        if known is not None and known[:-1] == stamp and trusted:
            return str(known[-1])
        digest = file_sha256(path) if read is None else file_sha256(path, read)
        if self._fresh is not None:
            self._fresh.add(str(path))
        self._known[str(path)] = [*stamp, digest]
        self._save()
        return digest

    def _save(self) -> None:
        with contextlib.suppress(OSError):  # a read-only store still works, without memory
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._memory) as draft:
                draft.write_text(json.dumps(self._known), encoding="utf-8")


def _entries(kept: Any) -> dict[str, list[Any]]:
    """Those of a kept memory that are entries: a stamp and a hash by path. What else is there is left out."""
    if not isinstance(kept, dict):
        return {}
    return {path: entry for path, entry in kept.items() if _is_entry(entry)}


def _is_entry(value: Any) -> bool:
    return isinstance(value, list) and [type(each) for each in value] == [int, int, int, int, str]
