"""One job of one command, outside Hydra."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ds2.runs import jobs


@contextmanager
def a_job(root: Path, overrides: tuple[str, ...] = ()) -> Iterator[tuple[jobs.JobRecord, jobs.Handle]]:
    """One job of one command, its environment set as Hydra sets it."""
    with jobs.recorded(root) as record, pytest.MonkeyPatch.context() as patch:
        name, _, value = record.hydra_arguments()[0].removeprefix("+hydra.job.env_set.").partition("=")
        patch.setenv(name, value.strip("'"))
        with jobs.job(overrides, keep_going=True, say=print) as job:
            yield record, job
