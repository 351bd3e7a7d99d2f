"""Who works on an artifact of a store: one process at a time holds the lock of its fingerprint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


@contextmanager
def held(root: Path, folder: Path, timeout: float = -1) -> Iterator[None]:
    """Hold the lock under which `ArtifactStore` makes the artifact of a folder, finished or not, whose name
    ends in the fingerprint.

    Args:
        timeout: seconds to wait for it, without end by default.

    Raises:
        filelock.Timeout: another process has it still.
    """
    locks = root / ".locks"
    locks.mkdir(exist_ok=True)
    with FileLock(locks / f"{folder.name.rpartition('-')[2]}.lock").acquire(timeout=timeout):
        yield
