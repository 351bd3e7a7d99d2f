"""Who works on an artifact of a store: one process at a time holds the lock of its fingerprint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from ds2.base.errors import UserError


def lock_of(root: Path, fingerprint: str) -> FileLock:
    """The lock under which the artifact of a fingerprint is made. Raises OSError where the root cannot be
    written to, UserError where something else is in the place of the locks.
    """
    folder = root / ".locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UserError(f"{folder} is a file where the store's folder of locks belongs: delete it") from error
    return FileLock(folder / f"{fingerprint}.lock")


_passed_on: list[FileLock] = []


@contextmanager
def passed_on(lock: FileLock) -> Iterator[None]:
    """A lock that is held: children that are started inside hold it too (`descriptors`). One that goes on for
    seconds when this process was killed keeps others from its work.
    """
    _passed_on.append(lock)
    try:
        yield
    finally:
        _passed_on.remove(lock)


def descriptors() -> tuple[int, ...]:
    """Of the locks that are passed on, to be inherited: a lock is one file's, as long as any process has it
    open, and as nobody released it.
    """
    opened = (lock._context.lock_file_fd for lock in _passed_on)
    return tuple(number for number in opened if number is not None)


@contextmanager
def held(root: Path, folder: Path, timeout: float = -1) -> Iterator[None]:
    """Hold the lock of an artifact's folder, finished or not, whose name ends in the fingerprint.

    Args:
        timeout: seconds to wait for it, without end by default.

    Raises:
        filelock.Timeout: another process has it still.
    """
    with lock_of(root, folder.name.rpartition("-")[2]).acquire(timeout=timeout):
        yield
