"""`ds2 gc`: what of a store can go, and why."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from ds2.artifacts.lineage import all_artifacts, of_other_versions
from ds2.artifacts.locks import held
from ds2.artifacts.record import RECORD, Record, read_any_record
from ds2.artifacts.remote import RemoteStore
from ds2.artifacts.shared import FETCHING
from ds2.artifacts.store import ArtifactStore
from ds2.artifacts.versions import Age
from ds2.base.drafts import DRAFTS
from ds2.base.errors import DamagedArtifact, UserError
from ds2.base.paths import shown
from ds2.base.words import number_of, size
from ds2.cli import console, gc_shared
from ds2.cli.gc_words import ASKED_FOR, DELETE, last_line
from ds2.config.stages import STAGES
from ds2.runs import job_files

_DRAFT_SECONDS = 3600.0
"""A draft of the store's own memories is written in seconds: one that is so old has lost its writer."""


@dataclass(frozen=True)
class _Aged:
    """A finished artifact that this code will never reuse."""

    path: Path
    age: Age
    why: str
    bytes: int


def run(store: ArtifactStore, words: Sequence[str], shared: str | None = None) -> int:
    """ds2 gc [older] [newer] [delete] [paths.store=URL]: what crashed runs left behind (a folder whose lock
    is held is left alone, and a draft of the last hour), and finished artifacts of other stage versions; of
    the store that machines share too, where it is named.
    """
    if len(set(words)) != len(words) or not {*words} <= {*ASKED_FOR, DELETE}:
        raise UserError(
            "ds2 gc lists what can go; ds2 gc delete removes what crashed runs left, ds2 gc older delete "
            "artifacts of older stage versions too, ds2 gc newer delete those of newer ones"
        )
    remote = None if shared is None else RemoteStore(shared)  # before anything is removed here
    _run_here(store, words)
    if remote is not None:
        gc_shared.run(remote, words)
    return 0


def _run_here(store: ArtifactStore, words: Sequence[str]) -> None:
    delete = DELETE in words
    unfinished = 0
    for path in _unfinished(store.root, delete=delete):
        unfinished += 1
        console.line(f"{'deleted' if delete else 'unfinished'} {shown(path)}")
    records = list(job_files.leftovers(store.root))
    for path in records if delete else ():
        job_files.forget(path)
    aged = list(_aged(store))
    for each in aged:
        going = delete and each.age.value in words and _remove(store.root, each.path)
        console.line(
            f"{'deleted' if going else each.age.value} {shown(each.path)}: {each.why}, {size(each.bytes)}"
        )
    counts = [
        "1 unfinished folder or draft" if unfinished == 1 else f"{unfinished} unfinished folders and drafts",
        f"{number_of(len(records), 'record')} of dead jobs",
    ]
    console.line(last_line(counts, bool(unfinished or records), [each.age for each in aged], words))


def _remove(root: Path, path: Path) -> bool:
    """Remove a finished artifact, its record first: cut off, it is unfinished, not damaged. False where
    another process holds its lock.
    """
    try:
        with held(root, path, timeout=0):
            (path / RECORD).unlink()
            shutil.rmtree(path)
    except Timeout:
        return False
    return True


def _unfinished(root: Path, *, delete: bool) -> Iterator[Path]:
    """What crashed runs left, removed when it is named where `delete` asks for that."""
    for folder in (*STAGES, FETCHING):
        for path in sorted((root / folder).glob("*")):
            if _is_left(root, path, delete=delete):
                yield path
    for draft in sorted(root.glob(DRAFTS)):
        if _is_old(draft):
            if delete:
                draft.unlink(missing_ok=True)
            yield draft


def _is_left(root: Path, path: Path, *, delete: bool) -> bool:
    """Whether this is an unfinished folder that no process works on; removed before one can start to."""
    if not _is_unfinished(path):
        return False
    try:
        with held(root, path, timeout=0):
            left = _is_unfinished(path)  # its process may have finished it in between
            if left and delete:
                shutil.rmtree(path)
            return left
    except Timeout:
        return False


def _is_unfinished(path: Path) -> bool:
    return path.is_dir() and (path.name.startswith(".") or not (path / RECORD).is_file())


def _is_old(draft: Path) -> bool:
    try:
        return time.time() - draft.stat().st_mtime > _DRAFT_SECONDS
    except FileNotFoundError:
        return False  # it has just become the file


def _aged(store: ArtifactStore) -> Iterator[_Aged]:
    """Finished artifacts of other stage versions, and of what was made from them. A damaged record, which
    does not tell, is said.
    """
    records: dict[Path, Record] = {}
    for path in all_artifacts(store.root):
        try:
            records[path] = read_any_record(path)
        except DamagedArtifact as error:
            console.error(str(error))
    reasons = of_other_versions(records.values())
    for path, record in records.items():
        if record["fingerprint"] in reasons:
            how_old, why = reasons[record["fingerprint"]]
            yield _Aged(path, how_old, why, sum(file["bytes"] for file in record["files"].values()))
