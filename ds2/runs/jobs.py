"""What became of each run of a command, also where Hydra's launcher ran it in another process or on another
machine.

A command has a folder below the artifact root, `<artifacts>/.jobs/<command>/`, whose name travels with
Hydra's configuration into the environment of each job. Each job writes one file there when it starts, holds a
lock beside it while it lives, and rewrites the file when it ends: a file that says "running" without a held
lock belongs to a process that died. What failed stays on record until the same run succeeds or fails again.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from platform import node
from tempfile import TemporaryDirectory
from typing import cast

from filelock import FileLock
from hydra.core.override_parser.types import Quote, QuotedString

from ds2.base import extras
from ds2.base.drafts import full_disk_refused, replacing
from ds2.base.errors import UserError
from ds2.base.processes import LAST_WORDS, Terminated, ended_as_asked, ending_with_parent, terminable
from ds2.base.progress import lock_of_threads
from ds2.base.secrets import masked
from ds2.runs import job_files
from ds2.runs.job_files import COMMAND, FOLDER, LEFT, Job, abandoned, folders, forget, jobs_in

_VARIABLE = "DS2_JOBS"
_FAIL_FAST = "DS2_FAIL_FAST"
_LOOK = 0.1
"""Seconds between two looks at jobs that were asked to end."""


class JobRecord:
    """The jobs of one command."""

    def __init__(self, folder: Path, *, elsewhere: bool = False) -> None:
        self._folder = folder
        self._elsewhere = elsewhere
        """Whether that is not below the artifact root, which cannot be written to."""
        self._new_root = not folder.parents[1].exists()
        self._jobs: list[Job] | None = None

    def hydra_arguments(self, *, fail_fast: bool = False) -> list[str]:
        """Tell the jobs that Hydra starts, wherever they run, where their records belong and what to do after
        a failure.
        """
        quoted = QuotedString(str(self._folder).replace("${", "\\${"), Quote.single).with_quotes()
        told = [f"+hydra.job.env_set.{_VARIABLE}={quoted}"]
        told += [f"hydra.sweep.dir={quoted}"] if self._elsewhere else []
        return [*told, f"+hydra.job.env_set.{_FAIL_FAST}='1'"] if fail_fast else told

    def read(self) -> list[Job]:
        """All jobs, in the order in which they started."""
        if self._jobs is None:
            self._jobs = sorted(jobs_in(self._folder).values(), key=lambda job: job.started)
        return self._jobs

    def ask_workers(self) -> None:
        """Ask the jobs in children of this process to end, and wait until they have, at most `LAST_WORDS`
        seconds: launchers kill their workers.
        """
        asked, deadline = set[Path](), time.monotonic() + LAST_WORDS
        while time.monotonic() < deadline:
            children = {child.pid for child in multiprocessing.active_children()}
            working = {
                path: job.pid
                for path, job in jobs_in(self._folder).items()
                if job.state == "running" and job.host == node() and job.pid in children
            }
            for path in working.keys() - asked:
                asked.add(path)
                with suppress(ProcessLookupError):
                    os.kill(cast(int, working[path]), signal.SIGTERM)
            if not working:
                return
            time.sleep(_LOOK)

    @contextmanager
    def alive(self) -> Iterator[None]:
        """While this is open, other commands see that somebody reads these jobs."""
        lock = FileLock(self._folder / COMMAND)
        with suppress(OSError):  # where nothing can be written the first job says so
            self._folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def close(self) -> None:
        """Keep the failures and what still runs, and forget the failures that earlier commands left of the
        same runs, and all but the failures of commands that died.
        """
        ended = {name for job in self.read() if job.kept for name in job.names}
        for folder in folders(self._folder.parent):
            ours, jobs = folder == self._folder, jobs_in(folder)
            nobody_s = not ours and abandoned(folder, jobs.values())
            for path, job in jobs.items():
                if ours and job.state == "running":  # on a cluster's node: it forgets itself
                    (folder / LEFT).touch()
                    continue
                if ours:
                    kept = job.failed and job.kept
                else:
                    kept = job.names[-1] not in ended if job.failed else not nobody_s
                if not kept:
                    forget(path)
            if ours or nobody_s:
                with suppress(OSError):  # it went with its last record, or has others in it
                    job_files.close(folder)
        with suppress(OSError):  # other records or artifacts are there
            self._folder.parent.rmdir()
            if self._new_root:
                self._folder.parents[1].rmdir()


class Handle:
    """What a job says of itself while it runs."""

    def __init__(self, path: Path, job: Job) -> None:
        self._path = path
        self._job = job
        self._write()

    def go_on(self) -> None:
        """Raises NotStarted, which ends the job quietly, where another run failed under `--fail-fast`."""
        if os.environ.get(_FAIL_FAST) and any(job.failed for job in jobs_in(self._path.parent).values()):
            raise NotStarted

    def identify(self, fingerprint: str) -> None:
        """Which run this is."""
        self._change(fingerprint=fingerprint)

    def only_asks(self) -> None:
        """It plans or prepares; its failure says nothing of the run."""
        self._change(kept=False)

    def came_to(self, result: str, path: str) -> None:
        """What the table of the command's runs says of it."""
        self._change(result=result, path=path)

    @property
    def failed(self) -> bool:
        return self._job.failed

    def end(self, state: str, reason: str = "") -> None:
        began = datetime.fromisoformat(self._job.started)
        self._change(state=state, reason=reason, seconds=(datetime.now(UTC) - began).total_seconds())

    def _change(self, **changes: object) -> None:
        self._job = replace(self._job, **changes)  # type: ignore[arg-type]
        self._write()

    def _write(self) -> None:
        told = replace(
            self._job, overrides=list(map(masked, self._job.overrides)), reason=masked(self._job.reason)
        )
        content = json.dumps(asdict(told))
        try:
            with replacing(self._path) as draft:
                draft.write_text(content, encoding="utf-8")
        except OSError:
            if not self._path.exists():
                raise
            with suppress(OSError):  # a full disk has room for no draft, and what it is full of is said
                self._path.write_text(content, encoding="utf-8")


@contextmanager
def recorded(artifacts: Path | str) -> Iterator[JobRecord]:
    """Collect the jobs that run inside; `artifacts` is the root of the artifact store."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    wanted = Path(artifacts).absolute()
    with _writable(wanted) as root:
        name = f"{moment}-{uuid.uuid4().hex[:8]}"
        record = JobRecord(root / FOLDER / name, elsewhere=root != wanted)
        try:
            with record.alive():
                yield record
        finally:
            record.close()


@contextmanager
def _writable(artifacts: Path) -> Iterator[Path]:
    """The root, or, where it cannot be written to (what is finished there can be planned with and reused), a
    folder that is gone when the command ends.
    """
    if not artifacts.exists() or os.access(artifacts, os.W_OK):
        yield artifacts
        return
    with TemporaryDirectory(prefix="ds2-jobs-") as folder:
        yield Path(folder)


class NotStarted(Exception):
    """Another run of the command failed, and this one is not to be started (`--fail-fast`)."""


@contextmanager
def job(overrides: Sequence[str], *, keep_going: bool, say: Callable[[str], None]) -> Iterator[Handle]:
    """Record one job. A user's error ends it quietly: the command says it. With `keep_going` (a multirun) any
    failure is said at once and the other jobs go on.

    Raises:
        UserError: the artifact root cannot be written to.
    """
    starter = multiprocessing.parent_process()
    if starter is not None and starter.pid is not None:
        # A worker of a launcher, which would go on without the command, and has no handlers of its own.
        lock_of_threads()
        with ending_with_parent(starter.pid), terminable(), _job(overrides, keep_going, say) as handle:
            yield handle
    else:
        with _job(overrides, keep_going, say) as handle:
            yield handle


@contextmanager
def _job(overrides: Sequence[str], keep_going: bool, say: Callable[[str], None]) -> Iterator[Handle]:
    path = Path(os.environ[_VARIABLE]) / f"{uuid.uuid4().hex}.json"
    now = datetime.now(UTC).isoformat()
    began = Job(list(overrides), "running", started=now, host=node(), pid=os.getpid())
    lock = FileLock(path.with_suffix(".lock"))
    try:
        if not path.parent.exists():  # its command ended before it began
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / LEFT).touch()
        lock.acquire()
        handle = Handle(path, began)
    except OSError as error:
        raise UserError(f"cannot write to paths.artifacts={path.parents[2]}: {error.strerror}") from error
    try:
        with _ended(handle, keep_going, say):
            yield handle
    finally:
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)
        if (path.parent / LEFT).exists() and not handle.failed:
            forget(path)


@contextmanager
def _ended(handle: Handle, keep_going: bool, say: Callable[[str], None]) -> Iterator[None]:
    """Turns the end of the work inside into the job's."""
    try:
        with ended_as_asked(), full_disk_refused():
            yield
    except UserError as error:
        _refuse(handle, "\n".join(error.lines), say if keep_going else None)
    except NotStarted:
        handle.end("not started", "another run failed (--fail-fast)")
    except ModuleNotFoundError as error:
        line = extras.advice(error)
        if line is None:
            raise
        _refuse(handle, line, say if keep_going else None)
    except Exception as error:
        handle.end("failed", f"{type(error).__name__}: {error}")
        if not keep_going:
            raise
        traceback.print_exc()  # a defect, not a user's error: said whole, recorded, and the sweep goes on
    except KeyboardInterrupt:
        handle.end("failed", "interrupted")
        raise
    except Terminated as end:
        handle.end("failed", f"asked to end by {end}")
        raise
    else:
        handle.end("done")


def _refuse(handle: Handle, reason: str, say: Callable[[str], None] | None) -> None:
    handle.end("refused", reason)
    if say is not None:
        for line in reason.splitlines():
            say(line)
