"""The process that joins a Ray cluster for `ds2.base.ray_engine`, and the actors' side of it.

It reads pickles of (worker, shards) from standard input, and writes one of each shard's (number, result) to
standard output, then None; an exception in place of these is to be raised there.

An actor that dies is started again by Ray, and its shard is done again; a shard over which one dies `_LIVES`
times ends the work with one line.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from ds2.base.errors import UserError, first_line
from ds2.base.processes import end_with_parent
from ds2.base.ray_engine import KEPT

LOCAL, AUTO = "local", "auto"
_LIVES = 5
"""Times that a shard is begun."""
_KNOCK = 5.0
"""Seconds in which somebody must answer at a cluster's address."""
_FEWER = "with fewer engine.actors where memory was short"
_TOKEN = (
    "the cluster asks for a token: set RAY_AUTH_MODE=token and, where ~/.ray/auth_token is not its token, "
    "RAY_AUTH_TOKEN (docs/engines.md)"
)


def main() -> None:
    """Join the cluster, answer until standard input or the parent ends."""
    address, actors, gpus, parent = sys.argv[1:]
    end_with_parent(int(parent))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # Ray's own does so too: what it started is ended
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # Ray writes to it
    import ray

    try:
        while True:
            try:
                made, shards = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            for reply in _replies(address, int(actors), float(gpus), made, shards):
                pickle.dump(reply, replies)
                replies.flush()
    finally:
        ray.shutdown()


def _replies(address: str, actors: int, gpus: float, made: bytes, shards: list[bytes]) -> Iterator[Any]:
    from ray.exceptions import AuthenticationError, RayError

    try:
        _connect(address, actors, gpus)
        yield from _mapped(actors, gpus, made, shards)
        yield None
    except UserError as error:
        yield error
    except AuthenticationError:
        yield UserError(f"engine.address={address}: {_TOKEN}")
    except RayError as error:
        said = f"{type(error).__name__}: {first_line(error)}"
        yield UserError(f"engine=ray: {said}; {KEPT}, {_FEWER}")
    except Exception:  # noqa: BLE001 - raised where the person is
        yield RuntimeError(f"the driver of engine=ray failed:\n{traceback.format_exc()}")


def _mapped(actors: int, gpus: float, made: bytes, shards: list[bytes]) -> Iterator[tuple[int, bytes]]:
    import pyarrow as pa
    import ray
    from ray.data import ActorPoolStrategy

    blocks = [
        ray.put(pa.table({"number": [number], "shard": pa.array([shard], pa.binary())}))
        for number, shard in enumerate(shards)
    ]
    _quiet()
    begun = ray.remote(_Begun).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote()
    done = ray.data.from_arrow_refs(blocks).map_batches(
        _Worker,
        batch_size=1,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=min(actors, len(blocks)), max_tasks_in_flight_per_actor=2),
        fn_constructor_args=(made, os.environ.get("OMP_NUM_THREADS"), begun),
        num_cpus=1,
        num_gpus=gpus or None,
    )
    for block in done.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        for row in block.to_pylist():
            yield row["number"], row["value"]


class _Begun:
    """How often each shard was begun, whichever actor did: Ray starts an actor again without end."""

    def __init__(self) -> None:
        self._times: dict[int, int] = {}

    def again(self, shard: int) -> int:
        """Times, with this one."""
        self._times[shard] = self._times.get(shard, 0) + 1
        return self._times[shard]


class _Worker:
    """One actor: its worker, and one shard after the other."""

    def __init__(self, made: bytes, threads: str | None, begun: Any) -> None:
        # Numbers of a model are rounded as its threads have it: as many as the driver has. Ray would say 1.
        if threads is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        else:
            os.environ["OMP_NUM_THREADS"] = threads
        self._made, self._begun = made, begun
        self._work: Callable[[Any], Any] | None = None

    def __call__(self, block: Any) -> Any:
        import pyarrow as pa

        rows = block.to_pylist()
        values = [self._answer(row["number"], row["shard"]) for row in rows]
        return pa.table({"number": block.column("number"), "value": pa.array(values, pa.binary())})

    def _answer(self, number: int, shard: bytes) -> bytes:
        """The value, or the error, which is raised where the person is."""
        import ray
        from ray import cloudpickle

        try:
            if ray.get(self._begun.again.remote(number)) > _LIVES:
                died = f"actors died {_LIVES} times over the same shard"
                raise UserError(f"engine=ray: {died}; {KEPT}, {_FEWER}")
            if self._work is None:
                self._work = pickle.loads(self._made)()
            value = self._work(pickle.loads(shard))
        except Exception as error:  # noqa: BLE001 - raised where the person is
            kept = error if isinstance(error, UserError) else RuntimeError(repr(error))
            return bytes(cloudpickle.dumps((None, kept, traceback.format_exc())))
        return bytes(cloudpickle.dumps((value, None, "")))


def _connect(address: str, actors: int, gpus: float) -> None:
    """Join the cluster, once a process. Raises UserError."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DISABLE_FAILURE_SIGNAL_HANDLER", "1")  # SIGTERM ends what Ray has started
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if ray.is_initialized():
        return
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    named = os.environ.get("RAY_ADDRESS") if address == AUTO else address
    if named is not None and named != LOCAL:
        _knock(named)
    if address != LOCAL:
        try:
            ray.init(address=address, **options)
            return
        except (ConnectionError, ValueError, RuntimeError) as error:
            if named:
                raise UserError(_refused(address, error)) from error
    cores = max(os.cpu_count() or 1, actors)
    ray.init(address=LOCAL, num_cpus=cores, include_dashboard=False, **options)
    there = ray.cluster_resources().get("GPU", 0)
    if gpus > there:  # Ray would wait for one for ever
        raise UserError(f"engine.gpus={gpus:g}: this machine has {there:g} GPUs, as Ray sees it")


def _refused(address: str, error: Exception) -> str:
    if "InvalidAuthToken" in f"{error}{error.__cause__}{error.__context__}":
        return f"engine.address={address}: {_TOKEN}"
    return f"engine.address={address}: no Ray cluster can be joined there: {first_line(error)}"


def _knock(address: str) -> None:
    """Raises UserError where nobody listens at HOST:PORT: Ray would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK).close()
    except OSError as error:
        raise UserError(
            f"engine.address={address}: nobody answers there ({error.strerror or error}); `ray status` where "
            "the cluster's head runs says its address"
        ) from error


def _quiet() -> None:
    """Ray Data would draw a bar for each of its operators."""
    from ray.data import DataContext

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
