"""The record of an artifact: what it is, what it was made from and with, and checksums of its files and of
itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from ds2.artifacts.provenance import Provenance
from ds2.artifacts.versions import Age, age, newest
from ds2.base.dataclass_json import typed
from ds2.base.errors import DamagedArtifact, NewerArtifact
from ds2.base.hashes import canonical_json
from ds2.base.json_files import parse_json, read_json
from ds2.base.version import VERSION
from ds2.models.compute import Block

RECORD = "record.json"
"""Written last: a folder without one is not an artifact."""


class FileRecord(TypedDict):
    """One file of an artifact, as it was written."""

    sha256: str
    bytes: int


class _Said(TypedDict):
    """What every record says, of any release."""

    stage: str
    version: int
    fingerprint: str
    slug: str
    config: Mapping[str, Any]
    """The step's identity."""
    inputs: Mapping[str, str]
    """Input name -> fingerprint."""
    counts: Mapping[str, Any]
    """Numbers worth a look, some of them nested."""
    warnings: Sequence[str]
    files: Mapping[str, FileRecord]
    """By name relative to the artifact's folder."""
    wall_seconds: float
    finished: str
    """ISO 8601, UTC."""
    checksum: str
    """Hex SHA-256 of all the rest."""


class Record(_Said, Provenance):
    """What is kept of an artifact beside its files."""

    compute: NotRequired[Block]
    """Absent in records of before there was such a block."""
    peak_memory_bytes: int | None
    run: Mapping[str, Any] | None
    """The configuration of the run that computed it (`ds2.config.kept`); None: it was not told."""


class _Known(_Said):
    """A record as it is read: it may be of a release that did not say all yet, of a machine that it says less
    of.
    """

    versions: Mapping[str, str]
    host: Mapping[str, str]
    compute: NotRequired[Block]
    peak_memory_bytes: NotRequired[int | None]
    run: NotRequired[Mapping[str, Any] | None]
    packages: NotRequired[Mapping[str, str]]
    python: NotRequired[str]
    git_commit: NotRequired[str | None]


def find_artifacts(folder: Path) -> list[Path]:
    """The finished artifacts of one stage, by name: the folders below the stage's own that have a record and
    are no longer hidden.
    """
    return sorted(path for path in folder.glob("[!.]*") if (path / RECORD).is_file())


def read_record(folder: Path) -> Record:
    """The record of the artifact in a folder, checked against its own checksum.

    Raises:
        DamagedArtifact: it is not what was written.
        NewerArtifact: only a later DS2 knows what is in the artifact.
    """
    record = read_any_record(folder)
    if age(record["stage"], record["version"]) is Age.newer:
        known = newest(record["stage"])
        raise NewerArtifact(
            f"{folder} was made by version {record['version']} of stage {record['stage']}, in ds2 "
            f"{record['versions'].get('ds2', 'of a later version')}; this is ds2 {VERSION}, which knows "
            + (f"version {known}" if known else "no such stage")
            + ": upgrade ds2, or take another paths.artifacts (ds2 gc newer delete frees such artifacts)"
        )
    return record


def read_any_record(folder: Path) -> Record:
    """`read_record`, of any stage version: to name, count or remove an artifact, not to read its files."""
    path = folder / RECORD
    try:
        record, intact = _record_of(read_json(path))
    except ValueError as error:
        raise DamagedArtifact(f"{path} is damaged; delete {folder} and run again") from error
    if not intact:
        raise DamagedArtifact(f"{path} does not match its checksum; delete {folder} and run again")
    return record


def parse_record(text: str | bytes) -> tuple[Record, bool]:
    """The record in a text, and whether it matches its own checksum. Raises ValueError for what is none,
    files outside its folder among it.
    """
    return _record_of(parse_json(text))


def _record_of(value: Any) -> tuple[Record, bool]:
    typed(_Known, value, "record")
    record = cast("Record", value)
    _check_counts(record)
    for name in record["files"]:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ValueError(f"record.files: {name} is outside its folder")
    return record, record["checksum"] == checksum(record)


_NUMBERS = frozenset({
    "selected", "pool", "samples", "asked", "prompt_tokens", "completion_tokens", "cached_tokens",
    "answers_without_tokens", "largest_share", "truncated", "dropped_without_assistant",
    "dropped_by_cleaning", "budget_used",
})  # fmt: skip
"""Counts that are reckoned with: numbers, or None where nobody told them."""


def _check_counts(record: Record) -> None:
    counts = record["counts"]
    for name in _NUMBERS & counts.keys():
        typed(float | None, counts[name], f"record.counts.{name}")


def checksum(record: Record) -> str:
    """The SHA-256 of everything but the checksum itself."""
    body = {key: value for key, value in record.items() if key != "checksum"}
    return hashlib.sha256(canonical_json(body)).hexdigest()
