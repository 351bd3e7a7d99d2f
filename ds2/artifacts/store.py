"""The store that computes each step once.

An artifact is a folder `<root>/<stage>/<slug>-<fingerprint>/`. It is computed in a hidden folder beside it,
given its record there and renamed into place; a folder without a record is not an artifact. One lock per
fingerprint: of several processes that need a step, one computes and the others wait and reuse.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from filelock import Timeout

from ds2.artifacts.locks import lock_of, passed_on
from ds2.artifacts.provenance import peak_memory, provenance
from ds2.artifacts.record import RECORD, FileRecord, Record, checksum, read_record
from ds2.artifacts.step import Outcome, StageResult, Status, Step
from ds2.base.drafts import is_disk_full, remove_drafts, replacing
from ds2.base.errors import DamagedArtifact, UserError
from ds2.base.hashes import file_sha256, stamp_of

_TICK = 2 * 10**9
"""Nanoseconds: a folder that changed less than that ago may change again and show the same time."""

_KEPT = 200
"""Records that stay in memory: what the runs of a sweep share is among them, a long sweep needs no more."""


class ArtifactStore:
    """The artifacts below one root folder."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self._folders: dict[str, tuple[int, dict[str, list[Path]]]] = {}
        """Stage -> when its folder changed last, and what lies in it by fingerprint."""
        self._records: dict[Path, tuple[list[int], Record]] = {}
        """Artifact -> the stamp of its record when it was read, and the record; the `_KEPT` used last."""
        self._packages: Mapping[str, str] = {}
        """Of the record that was read last."""
        self._verified: dict[Path, list[list[int]]] = {}
        """Artifact -> size and modification time of its record and files when they were last hashed."""

    def find(self, step: Step) -> Path | None:
        """The step's finished artifact, or None. Raises DamagedArtifact where two folders claim it."""
        claiming = self._claiming(step.stage, step.fingerprint)
        if len(claiming) > 1:
            raise DamagedArtifact(
                f"two artifacts claim {step.fingerprint}: {claiming[0]} and {claiming[1]}; delete one"
            )
        return claiming[0] if claiming else None

    def of_version(self, step: Step, numbers: Iterable[int]) -> tuple[int, Path] | None:
        """The first of these stage versions that made the same of the same inputs, and its folder; None where
        there is none.
        """
        if not self._listed(step.stage):
            return None
        for number in numbers:
            claiming = self._claiming(step.stage, replace(step, version=number).fingerprint)
            if claiming:
                return number, claiming[0]
        return None

    def holds(self, stage: str, fingerprint: str) -> bool:
        """Whether there is a finished artifact of that stage and fingerprint."""
        return bool(self._claiming(stage, fingerprint))

    def _claiming(self, stage: str, fingerprint: str) -> list[Path]:
        named = self._listed(stage).get(fingerprint, ())
        return [path for path in named if (path / RECORD).is_file()]

    def _listed(self, stage: str) -> dict[str, list[Path]]:
        """What lies in a stage's folder, by fingerprint: listed once while the folder does not change."""
        folder = self.root / stage
        try:
            changed = folder.stat().st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            if folder.is_symlink():
                raise UserError(f"{folder} is a link to nothing; stage {stage} is kept there") from None
            return {}
        if stage in self._folders and self._folders[stage][0] == changed:
            return self._folders[stage][1]
        if not folder.is_dir():
            raise UserError(f"{folder} is a file where the folder of stage {stage} belongs: move it away")
        listed: dict[str, list[Path]] = {}
        for path in folder.iterdir():
            if path.name.startswith("."):  # not published yet
                continue
            listed.setdefault(path.name.rpartition("-")[2], []).append(path)
        if time.time_ns() - changed > _TICK:
            self._folders[stage] = changed, listed
        return listed

    def _read(self, path: Path) -> Record:
        """The record of an artifact, parsed once while its file does not change. Raises DamagedArtifact."""
        stamp = stamp_of((path / RECORD).stat())
        known = self._records.pop(path, None)
        if known is None or known[0] != stamp:
            known = stamp, self._slim(read_record(path))
        self._records[path] = known
        if len(self._records) > _KEPT:
            self._records.pop(next(iter(self._records)), None)
        return known[1]

    def _slim(self, record: Record) -> Record:
        """The record, just read; what was installed, most of it, is one object while records say the same."""
        if record.get("packages") == self._packages:
            record["packages"] = self._packages
        self._packages = record.get("packages", {})
        return record

    def load(self, step: Step, *, verify: bool = True) -> StageResult | None:
        """The step's artifact, verified, or None where there is none.

        Args:
            verify: compare its files with their checksums; otherwise only the record with its own.

        Raises:
            DamagedArtifact: a file or the record differs from what was written.
        """
        started = time.perf_counter()
        path = self.find(step)
        if path is None:
            return None
        record = self._read(path)
        if record["fingerprint"] != step.fingerprint:
            raise DamagedArtifact(
                f"{path / RECORD} is the record of {record['stage']} {record['fingerprint']}; delete {path} "
                "and run again"
            )
        if verify:
            self.verify(path)
        return StageResult(
            step.name, step.fingerprint, path, Status.reused, time.perf_counter() - started, record
        )

    def obtain(
        self,
        step: Step,
        *,
        on_wait: Callable[[], None] = lambda: None,
        run: Mapping[str, Any] | None = None,
    ) -> StageResult:
        """The step's artifact: reused where it is finished, computed otherwise.

        Args:
            on_wait: called once where another process is computing the same step.
            run: the configuration that asks for it, for the record.
        """
        started = time.perf_counter()
        ready = self.load(step)
        if ready is not None:
            return ready
        with self._lock(step, on_wait):
            self._folders.clear()  # another process may have finished it while this one waited
            ready = self.load(step)
            if ready is not None:
                return ready
            path, record, status = self._make(step, on_wait, run)
        return StageResult(step.name, step.fingerprint, path, status, time.perf_counter() - started, record)

    def _make(
        self, step: Step, on_wait: Callable[[], None], run: Mapping[str, Any] | None
    ) -> tuple[Path, Record, Status]:
        """The artifact, which this process alone makes here."""
        return *self._compute(step, run), Status.computed

    @contextmanager
    def _lock(self, step: Step, on_wait: Callable[[], None]) -> Iterator[None]:
        try:
            lock = lock_of(self.root, step.fingerprint)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                on_wait()
                lock.acquire()
        except OSError as error:
            raise UserError(
                f"stage {step.stage} is to be computed, but cannot write to paths.artifacts={self.root}: "
                f"{error.strerror or error}"
            ) from error
        try:
            with passed_on(lock):
                yield
        finally:
            lock.release()

    def _compute(self, step: Step, run: Mapping[str, Any] | None) -> tuple[Path, Record]:
        parent = self.root / step.stage
        partial = parent / f".partial-{step.fingerprint}"
        record = self._whole(step, partial)
        if partial.exists() and not record and not _goes_on(step, partial):
            shutil.rmtree(partial)
        wall, memory = time.perf_counter(), peak_memory()
        try:
            if record is None:
                partial.mkdir(parents=True, exist_ok=True)
                remove_drafts(partial)
                with memory:
                    outcome = step.compute(partial)
                record = self._record(step, outcome, partial, time.perf_counter() - wall, memory.bytes, run)
            path = self._publish(step, partial, record)
        except BaseException as error:
            if not _goes_on(step, partial):
                shutil.rmtree(partial, ignore_errors=True)
            if is_disk_full(error) and not isinstance(error, UserError):  # which names the place itself
                raise UserError(
                    f"no space left under paths.artifacts={self.root} while writing stage {step.stage}; "
                    "free some and run the same command again"
                ) from error
            raise
        return path, record

    def _whole(self, step: Step, partial: Path) -> Record | None:
        """The record of a computation whose process died when all was written, before it was published."""
        if not (partial / RECORD).is_file():
            return None
        try:
            record = self.verify(partial)
        except DamagedArtifact:
            (partial / RECORD).unlink()
            return None
        return record if record["fingerprint"] == step.fingerprint else None

    def _record(
        self,
        step: Step,
        outcome: Outcome,
        folder: Path,
        seconds: float,
        memory: int | None,
        run: Mapping[str, Any] | None,
    ) -> Record:
        scratch = [folder / name for name in step.scratch]
        files: dict[str, FileRecord] = {
            str(path.relative_to(folder)): {"sha256": file_sha256(path), "bytes": path.stat().st_size}
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not any(path.is_relative_to(place) for place in scratch)
        }
        record: Record = {
            "stage": step.stage,
            "version": step.version,
            "fingerprint": step.fingerprint,
            "slug": step.slug,
            "config": step.identity,
            "inputs": dict(step.inputs),
            "counts": dict(outcome.counts),
            "warnings": list(outcome.warnings),
            "files": files,
            "wall_seconds": round(seconds, 3),
            "compute": outcome.compute.block(seconds),
            "peak_memory_bytes": memory,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            **provenance(step.package),
            "run": run,
            "checksum": "",
        }
        record["checksum"] = checksum(record)
        return record

    def _publish(self, step: Step, partial: Path, record: Record) -> Path:
        """Give a whole artifact its name, in one step; what it could have gone on from is kept until its
        record is on the disk.
        """
        with replacing(partial / RECORD, durable=True) as draft:
            draft.write_text(json.dumps(record, indent=2, ensure_ascii=False), encoding="utf-8")
        for name in step.scratch:
            shutil.rmtree(partial / name, ignore_errors=True)
        final = partial.parent / f"{_safe(step.slug)}-{step.fingerprint}"
        if final.exists():  # without a record, or it would have been found
            shutil.rmtree(final)
        partial.rename(final)
        self._verified[final] = _stamps(final, record)
        return final

    def verify(self, path: Path) -> Record:
        """An artifact's record, its files compared with it. Raises DamagedArtifact naming the file."""
        record = self._read(path)
        # Within a process (a sweep of many runs) an artifact is hashed once, while no file of it is touched.
        if path in self._verified and self._verified[path] == _stamps(path, record):
            return record
        for name, expected_file in record["files"].items():
            file = path / name
            if not file.is_file():
                raise DamagedArtifact(f"{file} is missing; delete {path} and run again")
            if file.stat().st_size != expected_file["bytes"] or file_sha256(file) != expected_file["sha256"]:
                raise DamagedArtifact(f"{file} does not match its checksum; delete {path} and run again")
        self._verified[path] = _stamps(path, record)
        return record


def open_store(root: Path | str) -> ArtifactStore:
    """The store of a folder: one object a process, so that what one run verified the next need not."""
    return _opened(Path(root), Path.cwd())


@cache
def _opened(root: Path, _working: Path) -> ArtifactStore:
    return ArtifactStore(root)


def _stamps(path: Path, record: Record) -> list[list[int]]:
    stamps: list[list[int]] = []
    for name in (RECORD, *record["files"]):
        try:
            stat = (path / name).stat()
        except FileNotFoundError:
            continue  # a stamp fewer: no longer what was hashed
        stamps.append(stamp_of(stat))
    return stamps


def _goes_on(step: Step, partial: Path) -> bool:
    """Whether an interrupted computation left what the next one goes on from."""
    places = (partial / name for name in step.scratch)
    return any(place.is_dir() and any(place.iterdir()) for place in places)


def _safe(slug: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", slug)[:80]
