"""The words of `ds2 gc`, and the line it ends with."""

from __future__ import annotations

from collections.abc import Sequence

from ds2.artifacts.versions import Age
from ds2.base.words import number_of

DELETE = "delete"
ASKED_FOR = (Age.older.value, Age.newer.value)
"""Finished artifacts, which cost somebody time and still open: removed where their age is named alone."""


def last_line(
    counts: Sequence[str], crashed: bool, ages: Sequence[Age], words: Sequence[str], where: str = ""
) -> str:
    """What was found, and what to type to have the rest removed.

    Args:
        counts: of what crashed runs left, in words.
        crashed: whether there is any of it.
        ages: of the finished artifacts that no run asks for.
        words: what was typed.
        where: the option that names the store; empty: the usual one.
    """
    of_age = {word: sum(each.value == word for each in ages) for word in ASKED_FOR}
    found = ", ".join(
        [*counts, *(f"{number_of(n, 'artifact')} of {word} stage versions" for word, n in of_age.items())]
    )
    delete = DELETE in words
    going = ["gc"] if crashed and not delete else []
    going += [f"gc {word}" for word, n in of_age.items() if n and not (delete and word in words)]
    commands = [f"ds2 {each} delete {where}".rstrip() for each in going]
    advice = f"; {', '.join(commands)} remove{'s' if len(commands) == 1 else ''} them" if commands else ""
    return found + advice
