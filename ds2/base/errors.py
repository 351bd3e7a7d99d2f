"""What a person did or gave that cannot work, said in one line that names what to change."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ds2.base.words import printable


class UserError(ValueError):
    """Shown without a traceback by the command, a line for each argument; a ValueError to users of the
    library.
    """

    def __str__(self) -> str:
        return "; ".join(self.lines)

    @property
    def lines(self) -> tuple[str, ...]:
        """What to change: one thing a line."""
        return tuple(map(str, self.args))


class MissingInput(UserError):
    """Something that the run needs is not on this machine (a pool, a model, benchmark data)."""


class NotKnownOffline(MissingInput):
    """A name on the hub whose commit this machine does not know, and the hub cannot be asked."""


class DamagedArtifact(UserError):
    """A file of an artifact no longer matches the checksum in its record."""


class NewerArtifact(UserError):
    """An artifact whose stage version only a later DS2 knows."""


def first_line(error: BaseException) -> str:
    """What an error says, as far as a line holds it; its kind where it says nothing."""
    said = str(error).strip()
    return printable(said.splitlines()[0][:300]) if said else type(error).__name__


def lacks_memory(error: BaseException) -> bool:
    """Whether an error, or one that it came of, says that no memory is left: allocators, loaders of libraries
    and threads each say it in their way.
    """
    said = (
        r"[Cc]annot allocate memory|can't allocate memory|not enough memory|failed to map segment|new thread"
        r"|bad_alloc"
    )
    one: BaseException | None = error
    while one is not None:
        if isinstance(one, MemoryError) or re.search(said, str(one)):
            return True
        one = one.__cause__ or one.__context__
    return False


def refuse(errors: Sequence[UserError]) -> None:
    """Raise these errors as one, of the class that all of them are; do nothing where there is none."""
    if not errors:
        return
    classes = (NotKnownOffline, MissingInput, DamagedArtifact, UserError)
    kind = next(kind for kind in classes if all(isinstance(error, kind) for error in errors))
    raise kind(*dict.fromkeys(line for error in errors for line in error.lines)) from errors[0]
