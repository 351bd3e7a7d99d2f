"""One stage of one run, and what came of it.

The fingerprint of a step is a hash of its stage's name and version, the identity fields of its configuration
and the fingerprints of its inputs: not paths, not code, not execution settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

from ds2.artifacts.record import RECORD, Record
from ds2.base.hashes import fingerprint
from ds2.models.compute import NO_MODEL, Compute


class Status(Enum):
    computed = "computed"
    reused = "reused"
    fetched = "fetched"
    """From the store that machines share (`ds2.artifacts.shared`)."""


@dataclass(frozen=True)
class StageResult:
    """One finished stage of a run."""

    name: str
    """`Step.name`."""
    fingerprint: str
    path: Path
    status: Status
    seconds: float
    """Time this run spent on the stage (loading, where it was reused)."""
    record: Record

    @property
    def record_file(self) -> Path:
        """Where the record is kept."""
        return self.path / RECORD


@dataclass(frozen=True)
class Outcome:
    """What a stage's function says of its work; it goes into the record."""

    counts: Mapping[str, Any] = field(default_factory=dict)
    """Numbers worth a look (JSON-ready)."""
    warnings: tuple[str, ...] = ()
    compute: Compute = NO_MODEL
    """What models did for it."""


@dataclass(frozen=True)
class Step:
    """One stage of one run."""

    stage: str
    version: int
    """Raised by hand when the stage's code starts to give another result for the same identity."""
    slug: str
    identity: Mapping[str, Any]
    """What the result depends on beside the inputs (JSON-ready)."""
    inputs: Mapping[str, str]
    """Input name -> fingerprint."""
    compute: Callable[[Path], Outcome]
    """Writes the stage's files into the given empty folder."""
    forecast: Callable[[], Sequence[str]] = tuple
    """What computing it would take, in lines for a person; may read the inputs."""
    scratch: tuple[str, ...] = ()
    """Folders of what an interrupted computation goes on from; no part of the artifact. Where one of
    them holds something, the next computation finds all that the interrupted one left.
    """
    package: str | None = None
    """The package whose code computes it, where that is a plugin's; its version goes into the record."""
    part: str | None = None
    """Which of several steps of its stage that a run has: the rater, of a panel's. No part of what it is."""

    @property
    def name(self) -> str:
        """The run's name for it: the stage, and the part."""
        return self.stage if self.part is None else f"{self.stage}.{self.part}"

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits."""
        return fingerprint(
            {"stage": self.stage, "version": self.version, "identity": self.identity, "inputs": self.inputs}
        )
