"""The files of the jobs of a store's commands: what they say, which live, and what can go."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from platform import node

from filelock import FileLock, Timeout

from ds2.base.dataclass_json import from_plain
from ds2.base.json_files import read_json

FOLDER = ".jobs"
COMMAND = "command.lock"
"""Held in its folder by a command, as long as it lives."""
LEFT = "left"
"""Marks the folder of a command that ended before its jobs did."""


@dataclass(frozen=True)
class Job:
    """One run of one command."""

    overrides: list[str]
    state: str
    """running, done, refused (a user's error), failed, died (its process ended without a word), or not
    started (`--fail-fast`).
    """
    reason: str = ""
    fingerprint: str | None = None
    """The run's; None: it failed before that was known."""
    kept: bool = True
    """Whether a failure stays on record; a plan's does not."""
    started: str = ""
    host: str = ""
    pid: int | None = None
    seconds: float | None = None
    """How long it took; None: it has not ended."""
    result: str = ""
    """What came of it, in a few words."""
    path: str = ""
    """What to look at."""

    @property
    def failed(self) -> bool:
        return self.state in ("refused", "failed", "died")

    @property
    def names(self) -> tuple[str, ...]:
        """What tells its run, the surest last: an attempt that died at once is known by its words alone."""
        typed = " ".join(sorted(self.overrides))
        return (typed, self.fingerprint) if self.fingerprint else (typed,)


@dataclass(frozen=True)
class Ledger:
    """What is on record below one artifact root."""

    running: frozenset[str]
    """Fingerprints of runs with a living job, on whatever command."""
    failures: dict[str, str]
    """Fingerprint -> why its last attempt failed."""
    damaged: list[Path]
    """Records that cannot be read."""


def ledger(artifacts: Path | str) -> Ledger:
    """Living and failed jobs of every command."""
    root, damaged = Path(artifacts) / FOLDER, list[Path]()
    jobs = [job for folder in folders(root) for job in jobs_in(folder, damaged).values()]
    known = [(job.fingerprint, job) for job in sorted(jobs, key=lambda job: job.started) if job.fingerprint]
    failures = {}
    for fingerprint, job in known:
        if job.failed:
            failures[fingerprint] = job.reason or f"its process on {job.host} died"
    running = frozenset(fingerprint for fingerprint, job in known if job.state == "running")
    return Ledger(running, failures, damaged)


def leftovers(artifacts: Path | str) -> Iterator[Path]:
    """Records of jobs that died before it was known which run they were, those of runs that are done whose
    command died, records that cannot be read, and locks and drafts without a record; those of living jobs are
    none.
    """
    for folder in folders(Path(artifacts) / FOLDER):
        damaged = list[Path]()
        jobs = jobs_in(folder, damaged)
        yield from damaged
        nobody_s = abandoned(folder, jobs.values())
        for path, job in jobs.items():
            if (job.state == "died" and job.fingerprint is None) or (nobody_s and not job.failed):
                yield path
        if not any(job.state == "running" for job in jobs.values()):
            known = {path.stem for path in (*jobs, *damaged)}
            known |= {Path(COMMAND).stem} if known else set()  # it goes with the last record
            others = (path for path in sorted(folder.iterdir()) if path.stem not in known)
            yield from (path for path in others if path.suffix != ".lock" or not _lives(path))


def abandoned(folder: Path, jobs: Iterable[Job]) -> bool:
    """Whether a command of this machine died before it had read its jobs, all of which have ended: nobody
    reads them any more.
    """
    lock, here = folder / COMMAND, node()
    if not lock.is_file() or _lives(lock):
        return False
    return all(job.host == here and job.state != "running" for job in jobs)


def folders(root: Path) -> list[Path]:
    """Of commands, below the folder of all."""
    return sorted(path for path in root.glob("*") if path.is_dir())


def jobs_in(folder: Path, damaged: list[Path] | None = None) -> dict[Path, Job]:
    """Jobs by file; one that cannot be read goes to `damaged`."""
    jobs = {}
    for path in sorted(folder.glob("*.json")):
        try:
            job = _read(path)
            if job.state == "running" and not _lives(path):
                job = _read(path)  # it may have ended in between
                job = replace(job, state="died") if job.state == "running" else job
        except FileNotFoundError:
            continue  # its command has just ended
        except (ValueError, OSError):
            if damaged is not None:
                damaged.append(path)
            continue
        jobs[path] = job
    return jobs


def _read(path: Path) -> Job:
    return from_plain(Job, read_json(path))


def _lives(path: Path) -> bool:
    lock = path.with_suffix(".lock")
    if not lock.is_file():
        return False
    try:
        with FileLock(lock).acquire(timeout=0):
            return False
    except Timeout:
        return True


def forget(path: Path) -> None:
    """Remove a job's record, or one of `leftovers`, and its command's folder with the last."""
    if path.is_dir():  # no record of ours
        shutil.rmtree(path, ignore_errors=True)
    path.unlink(missing_ok=True)
    path.with_suffix(".lock").unlink(missing_ok=True)
    with suppress(OSError):  # other records are there
        close(path.parent)


def close(folder: Path) -> None:
    """Remove a command's folder, where no record is in it. Raises OSError where something else is."""
    if not any(folder.glob("*.json")):
        for name in (LEFT, COMMAND):
            (folder / name).unlink(missing_ok=True)
    folder.rmdir()
