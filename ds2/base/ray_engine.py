"""Ray Data as an engine: shards are blocks, a pool of actors maps over them.

Ray is driven by a process of our own (`ds2.base.ray_driver`): it takes over the signals of the process that
joins a cluster, and ends it, by C++, where the cluster is lost. Here that is one line.
"""

from __future__ import annotations

import atexit
import os
import pickle
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from ds2.base.errors import UserError
from ds2.base.paths import project_root

Shard = TypeVar("Shard")
Value = TypeVar("Value")

KEPT = "what is finished is kept: run the same command again"
_DRIVER = "from ds2.base.ray_driver import main; main()"
_LAST_WORDS = 10.0
"""Seconds in which a driver ends its cluster."""
_LOGGED = re.compile(r"^\[[^\]]* [EFC] [^\]]*\] (\([^)]*\) )?\S+:\d+:\s*(?P<said>.*)")
"""An error in Ray's own log."""


@dataclass(frozen=True)
class RayEngine:
    """A pool of actors in a Ray cluster."""

    address: str
    """`local`: a cluster of this machine, for as long as this process lives; `auto`: the one that runs here
    or that RAY_ADDRESS names, else as `local`; otherwise a cluster's address."""
    actors: int
    gpus: float
    """GPUs of each actor."""

    def map(
        self, make: Callable[[], Callable[[Shard], Value]], shards: Iterable[Shard]
    ) -> Iterator[tuple[int, Value]]:
        """See `Engine`. All shards are drawn at once, into the cluster's object store."""
        from ray.cloudpickle import dumps as pickled

        work = pickled(make), [pickled(shard) for shard in shards]
        if not work[1]:
            return
        driver = _idle.pop(self, None) or _Driver(self)
        try:
            yield from driver.map(*work)
        except BaseException:  # whoever asked may have left: what it still does is for nobody
            driver.end()
            raise
        _idle[self] = driver


class _Driver:
    """A process that has joined the cluster and lives no longer than this one."""

    def __init__(self, engine: RayEngine) -> None:
        end_idle()  # of another engine
        path = os.pathsep.join(p for p in (os.environ.get("PYTHONPATH"), str(project_root())) if p)
        settings = engine.address, str(engine.actors), str(engine.gpus), str(os.getpid())
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        # A session of its own: the terminal's signals are ours to pass on.
        self._process = subprocess.Popen(
            [sys.executable, "-c", _DRIVER, *settings], env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, start_new_session=True,
        )  # fmt: skip
        atexit.register(self.end)

    def map(self, made: bytes, shards: list[bytes]) -> Iterator[tuple[int, Any]]:
        """Numbers and values of shards. Raises UserError where the driver could not or has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            pickle.dump((made, shards), self._process.stdin)
            self._process.stdin.flush()
            while (reply := pickle.load(self._process.stdout)) is not None:
                if isinstance(reply, Exception):
                    raise reply
                number, result = reply
                yield number, _value(result)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            raise UserError(self._why()) from error

    def _why(self) -> str:
        code = self._process.wait()
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").splitlines()
        errors = [match["said"] for line in lines if (match := _LOGGED.match(line))]
        said = (errors or lines or ["nothing"])[-1].strip().split(". ")[0]
        return (
            f"engine=ray: the cluster is lost: the process that drove it ended with exit code {code} and "
            f"said: {said}; {KEPT}"
        )

    def end(self) -> None:
        """End the process, and with it a cluster of this process's."""
        atexit.unregister(self.end)
        self._process.terminate()
        try:
            self._process.wait(_LAST_WORDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            with suppress(BrokenPipeError):  # of what was not read
                pipe.close()  # type: ignore[union-attr]


def _value(result: bytes) -> Any:
    """What an actor made of a shard, or raises what its worker raised."""
    value, error, trace = pickle.loads(result)
    if isinstance(error, UserError):
        raise error
    if error is not None:
        raise RuntimeError(f"an actor of engine=ray failed:\n{trace}") from error
    return value


_idle: dict[RayEngine, _Driver] = {}
"""Joined, and without work: the next stage's, or a sweep's next run's."""


def end_idle() -> None:
    """End the clusters that this process holds and does not use."""
    while _idle:
        _idle.popitem()[1].end()
