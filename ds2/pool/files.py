"""Which files a pool is made of: a file, a folder of shards, a glob pattern, several of them, standard input.

In a folder, what holds no rows is passed over and said: other kinds of files, JSON that is no list of rows,
tables without conversations. Hidden files are not looked at. Of a data set in splits the training split is
taken.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import IO, Any

from ds2.base.errors import MissingInput, UserError
from ds2.base.words import few, is_utf8, printable
from ds2.pool.errors import NoRows
from ds2.pool.folders import files_below, matching
from ds2.pool.reading import JSON, TABLES, endings, read_file

STDIN = "-"
_LOOKED_AT = 20
"""Rows of a folder's file that tell whether it holds conversations."""
_NAMED = 6
_PATIENCE = 10.0
"""Seconds that a named pipe waits for whoever writes to it."""
_SPLIT = re.compile(r"(train|training)|(test|testing|validation|valid|val|dev|eval|evaluation)")


@dataclass
class Found:
    """A pool's files in order, and what was passed over."""

    files: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_files(paths: Iterable[str], has_shape: Callable[[Any], bool]) -> Found:
    """The files that these paths name.

    Args:
        has_shape: whether a row is a conversation of a known shape.

    Raises:
        MissingInput: a path names nothing.
        UserError: none of a folder's files holds rows.
    """
    notes: list[str] = []
    files: dict[Path, None] = {}
    for path in paths:
        try:
            files |= dict.fromkeys(_named(path, has_shape, notes))
        except OSError as error:
            raise UserError(f"pool.path={path} cannot be read: {error.strerror or error}") from error
    if not files:
        raise UserError("pool.path names no file")
    for name in map(str, files):
        if not is_utf8(name):
            raise UserError(
                f"{printable(name)}: its name is not UTF-8, in which records are written; rename it"
            )
    return Found(list(files), list(map(printable, notes)))


def _named(path: str, has_shape: Callable[[Any], bool], notes: list[str]) -> Iterator[Path]:
    if path == STDIN:
        yield _standard_input()
        return
    if not path.strip():  # which Path takes for the working folder
        raise UserError("pool.path is empty: name a file, a folder or a pattern")
    root = Path(path).expanduser()
    if root.is_symlink() and not _leads_somewhere(root):
        raise MissingInput(f"pool.path={path} is a link to nothing")
    if root.is_dir():
        yield from _in_folder(root, has_shape, notes)
    elif root.is_file():
        yield root
    elif root.is_fifo():  # as the shell's <(...) makes one: it can be read once only
        copy = _from_pipe(root, root.stat().st_ino)
        if copy is None:
            raise UserError(f"pool.path={path} is a pipe that nothing writes to (waited {_PATIENCE:.0f} s)")
        yield copy
    elif root.exists():
        raise UserError(f"pool.path={path} is a device or a socket: no file, folder or pipe")
    else:
        found = matching(root)
        for match in found:
            if match.is_dir():
                yield from () if "**" in path else _in_folder(match, has_shape, notes)
            elif reason := _no_file(match):
                raise UserError(f"pool.path={path}: {match} is {reason}")
            else:
                yield match
        if not found:
            scheme = "://" in path and not path.startswith("file://")
            hint = "; DS2 reads files and hf://ORG/NAME" if scheme else ""
            raise MissingInput(f"pool.path={path}: no such file or folder, and no file matches it{hint}")


def _leads_somewhere(link: Path) -> bool:
    try:
        link.stat()
    except OSError:  # what it names is gone, or it leads to itself
        return False
    return True


def _no_file(path: Path) -> str | None:
    """What stands where a file of rows is expected; None: a file."""
    if not _leads_somewhere(path):
        return "a link to nothing" if path.is_symlink() else "not there"
    return None if path.is_file() else "a pipe, device or socket, not a file"


@cache
def _from_pipe(path: Path, _inode: int) -> Path | None:
    """What a pipe gives, as a file; None where nobody opens it for writing: opening it would never end."""
    opened: list[IO[bytes]] = []
    opening = Thread(target=lambda: opened.append(path.open("rb")), daemon=True)
    opening.start()
    opening.join(_PATIENCE)
    if opening.is_alive():
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))  # a writer comes and goes: the thread ends
        return None
    with opened[0] as stream:
        return _copy(stream, path.name)


def _in_folder(root: Path, has_shape: Callable[[Any], bool], notes: list[str]) -> list[Path]:
    files, passed_over = [], []
    reasons: list[str] = []
    for file in files_below(root, notes):
        reason = _why_not(file, has_shape)
        if reason is None:
            files.append(file)
        else:
            passed_over.append(str(file.relative_to(root)))
            reasons.append(f"{file.name}: {reason}")
    if not files:
        why = f" ({'; '.join(reasons[:3])})" if reasons else ""
        raise UserError(f"pool.path={root}: no file in it holds rows that DS2 reads{why}")
    files, other = _training_split(files, root)
    if other:
        notes.append(f"{root}: the training split is read, not {few(other, _NAMED)}; name a file for another")
    if passed_over:
        notes.append(f"{root}: passed over, for they hold no conversations: {few(passed_over, _NAMED)}")
    return files


def _why_not(file: Path, has_shape: Callable[[Any], bool]) -> str | None:
    """Why a folder's file is no part of the pool; None where it is."""
    if endings(file.name) not in (*JSON, *TABLES):
        return "another kind of file"
    if reason := _no_file(file):
        raise UserError(f"{file} is {reason}; remove it, or name the files to be read")
    try:
        rows = [row for _, row in islice(read_file(file), _LOOKED_AT)]
    except NoRows as error:
        return str(error)
    except UserError:  # a broken shard: refused by name when the pool is read
        return None
    objects = [row for row in rows if isinstance(row, dict)]
    if not objects or any(map(has_shape, objects)):
        return None
    return "its rows have no known shape"


def _training_split(files: list[Path], root: Path) -> tuple[list[Path], list[str]]:
    """The files without those of other splits, where some are the training split's; and those others."""
    splits = [_split(file.relative_to(root)) for file in files]
    if "train" not in splits:
        return files, []
    kept = [file for file, split in zip(files, splits, strict=True) if split != "other"]
    others = [
        str(file.relative_to(root)) for file, split in zip(files, splits, strict=True) if split == "other"
    ]
    return kept, others


def _split(path: Path) -> str | None:
    for part in (path.name.split(".")[0], *path.parts[:-1]):
        named = _SPLIT.match(part.lower())
        if named and (named.end() == len(part) or not part[named.end()].isalpha()):
            return "train" if named[1] else "other"
    return None


@cache
def _standard_input() -> Path:
    """What stands in standard input, as a file that lasts as long as the process."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UserError("pool.path=-: standard input is a terminal; pipe rows into it, or name a file")
    return _copy(sys.stdin.buffer, "stdin")


def _copy(stream: IO[bytes], name: str) -> Path:
    """What a stream gives, as a file that lasts as long as the process."""
    folder = Path(tempfile.mkdtemp(prefix="ds2-stdin-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = folder / name
    with file.open("wb") as copy:
        shutil.copyfileobj(stream, copy)
    return file
