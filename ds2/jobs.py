"""What became of each job of a command, also where Hydra's launcher ran it in another process.

The command names a folder in the environment; each job leaves one file there when it starts and rewrites it when it ends.
A file that still says "running" afterwards belongs to a process that died.
"""

from __future__ import annotations

import json
import os
import tempfile
import traceback
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from ds2 import console, extras
from ds2.errors import UserError

_VARIABLE = "DS2_JOBS"


@dataclass(frozen=True)
class Job:
    overrides: list[str]
    state: str
    """running, done, refused (a user's error) or failed."""
    reason: str = ""


class JobRecord:
    """The jobs of one command."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._jobs: list[Job] | None = None

    def read(self) -> list[Job]:
        """All jobs, in the order in which they started."""
        if self._jobs is None:
            files = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_ctime_ns)
            self._jobs = [Job(**json.loads(path.read_text(encoding="utf-8"))) for path in files]
        return self._jobs


@contextmanager
def recorded() -> Iterator[JobRecord]:
    """Collect the jobs that run inside."""
    with tempfile.TemporaryDirectory(prefix="ds2-jobs-") as folder:
        os.environ[_VARIABLE] = folder
        record = JobRecord(Path(folder))
        try:
            yield record
        finally:
            del os.environ[_VARIABLE]
            record.read()


@contextmanager
def job(overrides: Sequence[str], *, keep_going: bool) -> Iterator[None]:
    """Record one job. A user's error ends it quietly: the command says it. With `keep_going` (a multirun) any failure is
    said at once and the other jobs go on."""
    path = Path(os.environ[_VARIABLE]) / f"{uuid.uuid4().hex}.json"
    _write(path, Job(list(overrides), "running"))
    try:
        yield
    except UserError as error:
        _write(path, Job(list(overrides), "refused", str(error)))
        if keep_going:
            console.error(str(error))
    except ModuleNotFoundError as error:
        line = extras.advice(error)
        if line is None:
            raise
        _write(path, Job(list(overrides), "refused", line))
        if keep_going:
            console.error(line)
    except Exception as error:
        _write(path, Job(list(overrides), "failed", f"{type(error).__name__}: {error}"))
        if not keep_going:
            raise
        traceback.print_exc()  # a defect, not a user's error: said whole, recorded, and the sweep goes on
    else:
        _write(path, Job(list(overrides), "done"))


def _write(path: Path, job: Job) -> None:
    path.write_text(json.dumps(asdict(job)), encoding="utf-8")
