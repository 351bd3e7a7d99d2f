"""One command in a folder of its own, to be struck while it runs: where it stands, what it leaves, and
whether it comes to the same as one that nobody disturbed.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from helpers.planted import planted_rows
from helpers.worlds import artifacts, differing

from ds2.artifacts.record import read_record
from ds2.base.paths import project_root

SELECT = ("rate", "embed", "knn", "curate", "select", "report")
"""What `until=select` computes, in order."""
TUNED = (*SELECT[:-1], "model", "finetune", "evaluate", "report")
NO_LIMITS: Mapping[int, int] = {}
_CACHE = "torchinductor_"
"""A folder that torch makes when it is imported, and keeps."""
_MARK = "DS2_FAULT_MARK"
_POOL = ("pool=jsonl", "pool.path=pool.jsonl", "budget.samples=20", "rater=from_column",
         "rater.column=true_score", "scale.low=0", "scale.high=5")  # fmt: skip
_TINY = ("model=tiny", "finetune=tiny", "finetune.max_steps=40", "eval=tiny")
CHAINS = {"select": (*_POOL, "until=select"), "tuned": (*_POOL, *_TINY)}
SHORTEST = {stage: "select" if stage in SELECT[:-1] else "tuned" for stage in TUNED}
"""Of each stage, the chain that computes it and least after it."""
ISOLATED = ("runtime.isolate=true",)
"""Training and evaluation in a process of their own, as on a GPU; no part of any fingerprint."""


@dataclass(frozen=True)
class Place:
    """A folder with pool, store and temporary files of one command, whose processes carry its mark."""

    folder: Path
    options: tuple[str, ...]
    stages: tuple[str, ...] = SELECT
    environment: dict[str, str] = field(default_factory=dict)
    tracking: str = "none"

    def __post_init__(self) -> None:
        self.temporary.mkdir(parents=True, exist_ok=True)
        rows = "".join(json.dumps(row) + "\n" for row in planted_rows(160, 6))
        (self.folder / "pool.jsonl").write_text(rows)

    @property
    def store(self) -> Path:
        return self.folder / "artifacts"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def command(self) -> list[str]:
        """What is run in the folder."""
        options = (*self.options, f"tracking={self.tracking}", "paths.artifacts=artifacts")
        return [sys.executable, "-m", "ds2", *options]

    def start(
        self,
        said: IO[str] | int = subprocess.DEVNULL,
        limits: Mapping[int, int] = NO_LIMITS,
        around: Sequence[str] = (),
    ) -> subprocess.Popen:
        """Begin the command, in a process group of its own.

        Args:
            said: where its two outputs go.
            limits: of the system (`resource.RLIMIT_...`), for it and its children.
            around: a command that runs it.
        """

        def prepare() -> None:
            for number in (signal.SIGINT, signal.SIGHUP):  # a background job or nohup ignores them
                signal.signal(number, signal.SIG_DFL)
            for limit, most in limits.items():
                resource.setrlimit(limit, (most, most))

        own = {_MARK: str(self.folder), "TMPDIR": str(self.temporary), "PYTHONPATH": str(project_root())}
        return subprocess.Popen(
            [*around, *self.command],
            cwd=self.folder, env={**os.environ, **own, **self.environment}, stdout=said,
            stderr=subprocess.STDOUT, text=True, start_new_session=True, preexec_fn=prepare,
        )  # fmt: skip

    def run(
        self, limits: Mapping[int, int] = NO_LIMITS, around: Sequence[str] = (), seconds: float = 300
    ) -> tuple[int, str]:
        """The command from begin to end: its exit code and all that it said."""
        process = self.start(subprocess.PIPE, limits, around)
        try:
            output, _ = process.communicate(timeout=seconds)
        finally:
            end(process)
        return process.returncode, output

    def living(self) -> list[int]:
        """Processes that came of the command."""
        mark = f"{_MARK}={self.folder}\0".encode()
        return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if mark in _read(path)]

    def names(self) -> list[str]:
        """The beginnings of what these run."""
        return [_read(Path(f"/proc/{each}/cmdline")).decode(errors="replace")[:120] for each in self.living()]

    def all_ended(self, seconds: float = 30) -> bool:
        """Whether no process of it is left, when what was orphaned has had its last words (25 s)."""
        return wait(lambda: not self.living(), seconds)

    def computing(self, stage: str) -> bool:
        """Whether the stage is being computed."""
        return any((self.store / stage).glob(".partial-*"))

    def holding(self, other: Place, *, before: str | None = None) -> Place:
        """This place, its store a copy of another's as it was before that stage."""
        shutil.copytree(other.store, self.store)
        for stage in self.stages[self.stages.index(before) :] if before else ():
            shutil.rmtree(self.store / stage)
        return self

    def faults(self, undisturbed: Place) -> list[str]:
        """In what it is not as if nothing had happened: artifacts that differ, and what lies about."""
        found = [f"{name}: {how}" for name, how in differing(undisturbed.store, self.store).items()]
        strays = [*self.store.rglob(".partial-*"), *self.store.rglob("*.draft")]
        strays += (path for path in self.temporary.iterdir() if not path.name.startswith(_CACHE))
        strays += (self.store / ".jobs").glob("*/*")
        found += [f"left behind: {path.relative_to(self.folder)}" for path in strays]
        return found + [f"still running: {pid}" for pid in self.living()]

    def rerun(self, undisturbed: Place, seconds: float = 0) -> str:
        """Run it again: "equal", or what is wrong with what came out, so many seconds after its end."""
        code, output = self.run()
        if code != 0:
            return f"the rerun ended with exit code {code}: {output[-600:]}"
        self.all_ended(seconds)
        return "; ".join(self.faults(undisturbed)) or "equal"

    def seconds(self, stage: str) -> float:
        """How long its computation took."""
        (path,) = (
            path for name, path in artifacts(self.store, pages=True).items() if name.startswith(f"{stage}/")
        )
        return read_record(path)["wall_seconds"]


def undisturbed(folder: Path, chain: str) -> Place:
    """The chain, run once from begin to end."""
    place = Place(folder, CHAINS[chain], TUNED if chain == "tuned" else SELECT)
    code, output = place.run()
    assert code == 0, output
    found = place.faults(place)
    assert not found, found
    return place


def wait(happened: Callable[[], bool], seconds: float) -> bool:
    """Whether it happens within so many seconds, looked at each millisecond."""
    until = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > until:
            return False
        time.sleep(0.001)
    return True


def end(process: subprocess.Popen) -> None:
    """Kill it where it is still there."""
    if process.poll() is None:
        process.kill()
        process.wait()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has just ended, or is another user's
        return b""
