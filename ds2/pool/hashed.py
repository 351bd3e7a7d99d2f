"""A pool's files by their content, and whether they still held that content when they had been read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ds2.base.errors import UserError
from ds2.base.hashes import file_sha256, stamp_of


class HashedFiles:
    """SHA-256 of files, each with the stamp that it had before it was hashed.

    Args:
        hash_file: gives a file's SHA-256 and takes what `file_sha256` takes.
        trust_times: False hashes a file again after the reading, whatever its stamp says.
    """

    def __init__(self, hash_file: Callable[..., str], *, trust_times: bool = True) -> None:
        self._hash_file, self._trust = hash_file, trust_times
        self._known: dict[Path, tuple[list[int], str]] = {}

    def sha256(self, path: Path, *read: Callable[[int], None]) -> str:
        """A file's SHA-256; `read`, where given, is told of the bytes that are read. Raises UserError where
        the file cannot be read.
        """
        try:
            stamp = stamp_of(path.stat())  # before the content: a change between the two is one
            digest = self._hash_file(path, *read)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
        return self._known.setdefault(path, (stamp, digest))[1]

    def refuse_changed(self) -> None:
        """Raises UserError where a file is no longer what was hashed: what was read of it then may have
        another content than the one it is known by.
        """
        for path, (stamp, digest) in self._known.items():
            try:
                same = stamp_of(path.stat()) == stamp and (self._trust or file_sha256(path) == digest)
            except OSError:
                same = False
            if not same:
                raise UserError(f"{path} was changed while it was read: run again")
