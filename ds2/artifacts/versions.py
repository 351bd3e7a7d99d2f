"""Versions of the stages: what this code makes, what it made before, and what only a later one knows.

A stage's version is raised by hand when its code starts to give another result for the same identity. It is
part of the fingerprint, so that artifacts of two versions are never mixed. The kinds of one stage have
versions of their own, and a raised one takes a number that no kind of the stage ever had: hence a record's
version alone tells its age.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

_ONE = ""
"""The kind of a stage that has one."""

VERSIONS: Mapping[str, Mapping[str, int]] = {
    "sift": {_ONE: 1},
    "model": {_ONE: 1},
    "rate": {
        "scores": 1,
        "several": 2,  # whose each column is has been kept since 2
        "model": 3,
        "repeats": 4,  # each repeat's scores have been kept since 4
    },
    "embed": {_ONE: 3},
    "knn": {
        "exact": 2,
        "approximate": 4,  # reads rows as 4 bits a number; 3: compares every pair where that is faster
        "cuvs": 1,
    },
    "curate": {_ONE: 4},
    "measure": {_ONE: 1},
    "select": {
        _ONE: 4,
        "flops": 5,  # of all numbers of samples that a budget of FLOPs pays for the largest
    },
    "export": {_ONE: 1},
    "tokens": {_ONE: 1},
    "finetune": {_ONE: 1},
    "evaluate": {_ONE: 2},
    "report": {_ONE: 2},
}
"""Stage -> its kinds -> the version that this code gives each."""

_AHEAD = 5
"""So many versions above the newest known one are looked for."""


class Age(Enum):
    """How an artifact's stage version stands to those of this code."""

    older = "older"
    current = "current"
    newer = "newer"


def version(stage: str, kind: str = _ONE) -> int:
    """The version that this code gives artifacts of a stage."""
    return VERSIONS[stage][kind]


def newest(stage: str) -> int:
    """The highest version of a stage that this code knows; 0: it knows no such stage."""
    return max(VERSIONS.get(stage, {}).values(), default=0)


def age(stage: str, number: int) -> Age:
    """The age of an artifact of this stage and version."""
    if number > newest(stage):
        return Age.newer
    return Age.current if number in VERSIONS[stage].values() else Age.older


def earlier(number: int) -> Iterable[int]:
    """Versions that an older artifact of the same identity may have, the latest first."""
    return range(number - 1, 0, -1)


def later(stage: str) -> Iterable[int]:
    """Versions that a newer artifact of the stage may have."""
    return range(newest(stage) + 1, newest(stage) + 1 + _AHEAD)
