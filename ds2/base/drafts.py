"""Files that are there whole or not at all: written as a draft beside their place, then renamed into it."""

from __future__ import annotations

import errno
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ds2.base.errors import UserError, first_line

_SUFFIX = ".draft"
_FULL = re.compile(
    r"No space left on device|Disk quota exceeded|File too large|database or disk is full"
    r"|^\d+ requested and \d+ written"  # numpy's
    r"|unexpected pos \d+ vs \d+|file write failed|^basic_ios::clear: iostream error"  # torch.save's
)


def draft_name(name: str) -> str:
    """A name that no other writer of that file has, beside it."""
    return f".{name}.{uuid.uuid4().hex[:8]}{_SUFFIX}"


@contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give the draft to write to; it takes `path`'s place in one step when the block ends without an error.

    A reader sees the file as it was or as it will be, never a half of it; of several writers the last one's
    stands. After an error the draft is gone and `path` is as it was. A process that is killed leaves its
    draft: see `remove_drafts`.

    Args:
        durable: have the disk hold the content before the rename, so that a power cut cannot leave an empty
            file.
    """
    draft = path.with_name(draft_name(path.name))
    try:
        yield draft
        if durable:
            with draft.open("rb") as handle:
                os.fsync(handle.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)  # none where it has become `path`


@contextmanager
def passing(folder: Path, name: str) -> Iterator[Path]:
    """A file of `folder` that is gone when the block ends. A process that is killed leaves it as a draft."""
    path = folder / f".{name}{_SUFFIX}"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


DRAFTS = f".*{_SUFFIX}"
"""What to look for where killed processes may have left some."""


def remove_drafts(folder: Path) -> None:
    """Remove what killed processes left below `folder`; no process may be writing there."""
    for draft in folder.rglob(DRAFTS):
        draft.unlink()


def is_disk_full(error: BaseException) -> bool:
    """Whether an error says that the disk is full. Writers say it each in their way: an errno, the system's
    words in another exception, a short count.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return True
    return isinstance(error, Exception) and bool(_FULL.search(str(error)))


@contextmanager
def full_disk_refused() -> Iterator[None]:
    """Raises UserError, in one line, for an error that says that the disk is full."""
    try:
        yield
    except UserError:
        raise  # which names the place itself
    except Exception as error:
        if not is_disk_full(error):
            raise
        raise UserError(f"no room for what is written: {first_line(error)}") from error
