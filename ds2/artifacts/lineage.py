"""Artifacts of a store by what a person calls them, all that one was made from, and what no run asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from ds2.artifacts.record import RECORD, Record, find_artifacts, read_record
from ds2.artifacts.versions import Age, age, newest
from ds2.base.errors import DamagedArtifact, UserError
from ds2.base.paths import shown

PAGE = "report"
"""The stage whose artifact stands for a whole run: it reads every other stage of it."""


def locate(root: Path, name: str) -> Path:
    """The artifact that a person means, below the root of a store or anywhere.

    Args:
        name: its folder (or a file in it), its folder's name, its fingerprint or the first digits of it; or a
            run's name, as the command prints it.

    Raises:
        UserError: none or several are meant.
    """
    given = Path(name).expanduser()
    for folder in (given, given.parent):
        if (folder / RECORD).is_file():
            return folder.absolute()
    digits = re.search(r"(?:^|-)([0-9a-f]{4,16})$", name.rstrip("/").rpartition("/")[2])
    if digits is None:
        raise UserError(f"{name} is no artifact: give its folder, or its fingerprint (the first digits do)")
    found = [p for p in all_artifacts(root) if p.name.rpartition("-")[2].startswith(digits[1])]
    if len(found) != 1:
        several = f": {', '.join(shown(path) for path in found[:4])}" if found else ""
        raise UserError(f"{name}: {len(found)} artifacts in {shown(root)} have such a fingerprint{several}")
    return found[0].absolute()


def means_run(artifact: Path, name: str) -> bool:
    """Whether a person who gave this name for this artifact means the run, not the one stage."""
    return artifact.parent.name == PAGE or (
        name != artifact.name and re.search(r"-[0-9a-f]{6}$", name) is not None
    )


def page_of(artifact: Path) -> Path | None:
    """The newest page of the run that ends with an artifact; None where no page was written of it.

    A damaged page is passed over: it may be another run's, and `ds2 doctor` names it.
    """
    ending = artifact.name.rpartition("-")[2]
    pages = []
    for page in find_artifacts(artifact.parents[1] / PAGE):
        with suppress(DamagedArtifact):
            record = read_record(page)
            if list(record["inputs"].values())[-1:] == [ending]:
                pages.append((record["finished"], page))
    return max(pages)[1] if pages else None


def lineage(artifact: Path) -> dict[str, tuple[Path, Record]]:
    """Name among its readers' inputs -> folder and record: the artifact, and all that it was made from, as
    far as the store has it; those first that others read. The artifact's own name is its stage.

    Raises:
        DamagedArtifact: a record is damaged.
    """
    by_fingerprint = {path.name.rpartition("-")[2]: path for path in all_artifacts(artifact.parents[1])}
    found: dict[str, tuple[Path, Record]] = {}

    def visit(name: str, path: Path) -> None:
        record = read_record(path)
        for before, fingerprint in record["inputs"].items():
            if fingerprint in by_fingerprint and before not in found:
                visit(before, by_fingerprint[fingerprint])
        found[name] = (path, record)

    visit(artifact.parent.name, artifact)
    return found


def all_artifacts(root: Path) -> Sequence[Path]:
    """Every finished artifact of a store, of stages that this code does not know too."""
    stages = sorted(p for p in root.glob("*") if p.is_dir() and not p.name.startswith("."))
    return [path for stage in stages for path in find_artifacts(stage)]


def of_other_versions(records: Iterable[Record]) -> dict[str, tuple[Age, str]]:
    """Fingerprints of artifacts of other stage versions, and of all that was made from them: no run of this
    code asks for either. Each with its age and why.
    """
    left = {record["fingerprint"]: record for record in records}
    found: dict[str, tuple[Age, str]] = {}
    for fingerprint, record in left.items():
        stage, number = record["stage"], record["version"]
        if age(stage, number) is not Age.current:
            known = f"this ds2 makes {newest(stage)}" if newest(stage) else "this ds2 knows no such stage"
            found[fingerprint] = age(stage, number), f"version {number} of stage {stage}, and {known}"
    more = True
    while more:  # as deep as the chain is
        more = False
        for fingerprint, record in left.items():
            before = next((f for f in record["inputs"].values() if f in found), None)
            if before is not None and fingerprint not in found:
                how_old = found[before][0]
                found[fingerprint] = how_old, f"made from {before}, of {how_old.value} stage versions"
                more = True
    return found
