"""The record of an artifact: what it is, what it was made from and with, and checksums of its files and of
itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, NotRequired, TypedDict, cast

from ds2.artifacts.provenance import Provenance
from ds2.artifacts.versions import Age, age, newest
from ds2.base.errors import DamagedArtifact, NewerArtifact
from ds2.base.hashes import canonical_json
from ds2.base.version import VERSION

RECORD = "record.json"
"""Written last: a folder without one is not an artifact."""


class FileRecord(TypedDict):
    """One file of an artifact, as it was written."""

    sha256: str
    bytes: int


class Record(Provenance):
    """What is kept of an artifact beside its files."""

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
    compute: NotRequired[Mapping[str, Any]]
    """What computing it took in tokens, seconds, operations and dollars, and on what (`ds2.models.compute`);
    absent in records of before there was such a block."""
    peak_memory_bytes: int | None
    finished: str
    """ISO 8601, UTC."""
    run: Mapping[str, Any] | None
    """The configuration of the run that computed it (`ds2.config.kept`); None: it was not told."""
    checksum: str
    """Hex SHA-256 of all the rest."""


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
        record, intact = parse_record(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DamagedArtifact(f"{path} is damaged; delete {folder} and run again") from error
    if not intact:
        raise DamagedArtifact(f"{path} does not match its checksum; delete {folder} and run again")
    return record


def parse_record(text: str | bytes) -> tuple[Record, bool]:
    """The record in a text, and whether it matches its own checksum. Raises ValueError for what is none,
    files outside its folder among it.
    """
    try:
        record = cast("Record", json.loads(text))
        intact = record["checksum"] == checksum(record)
        _check_shape(record)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("not a record") from error
    return record, intact


_SHAPE: Mapping[str, type | UnionType] = {
    "stage": str, "version": int, "fingerprint": str, "slug": str, "config": dict, "inputs": dict,
    "counts": dict, "warnings": list, "files": dict, "wall_seconds": int | float, "finished": str,
    "versions": dict, "host": dict,
}  # fmt: skip


def _check_shape(record: Record) -> None:
    """Raises TypeError or KeyError where a record with a checksum of its own is none of DS2's all the same,
    or names a file elsewhere.
    """
    for name, kind in _SHAPE.items():
        if not isinstance(cast(Mapping[str, Any], record)[name], kind):
            raise TypeError(name)
    for name, file in record["files"].items():
        path = Path(name)
        inside = not path.is_absolute() and ".." not in path.parts
        if not (inside and isinstance(file["sha256"], str) and isinstance(file["bytes"], int)):
            raise TypeError(name)


def checksum(record: Record) -> str:
    """The SHA-256 of everything but the checksum itself."""
    body = {key: value for key, value in record.items() if key != "checksum"}
    return hashlib.sha256(canonical_json(body)).hexdigest()
