"""Ray Data as an engine: shards are blocks, a pool of actors maps over them.

An actor that dies is started again by Ray, and its shard is done again; one that dies `_LIVES` times in a row
ends the work with one line.
"""

from __future__ import annotations

import logging
import os
import pickle
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from ds2.base.errors import UserError
from ds2.base.processes import handlers_kept

Shard = TypeVar("Shard")
Value = TypeVar("Value")

LOCAL, AUTO = "local", "auto"
_LIVES = 4
"""Times that an actor is started again, and that a shard is tried again."""


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
        with self._faults_in_a_line():
            with handlers_kept():  # Ray has its own, which end this process without its last words
                _connect(self.address, self.actors)
            yield from self._mapped(make, shards)

    def _mapped(self, make: Callable[[], Any], shards: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        import pyarrow as pa
        import ray
        from ray.cloudpickle import dumps as pickled
        from ray.data import ActorPoolStrategy

        blocks = [
            ray.put(pa.table({"number": [number], "shard": pa.array([pickled(shard)], pa.binary())}))
            for number, shard in enumerate(shards)
        ]
        if not blocks:
            return
        _quiet()
        done = ray.data.from_arrow_refs(blocks).map_batches(
            _Worker,
            batch_size=None,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=min(self.actors, len(blocks)), max_tasks_in_flight_per_actor=2),
            fn_constructor_args=(pickled(make), os.environ.get("OMP_NUM_THREADS")),
            num_cpus=1,
            num_gpus=self.gpus or None,
            max_restarts=_LIVES,
            max_task_retries=_LIVES,
        )
        for block in done.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for row in block.to_pylist():
                value, error, trace = pickle.loads(row["value"])
                if isinstance(error, UserError):
                    raise error
                if error is not None:
                    raise RuntimeError(f"an actor of engine=ray failed:\n{trace}") from error
                yield row["number"], value

    @contextmanager
    def _faults_in_a_line(self) -> Iterator[None]:
        from ray.exceptions import RayError

        try:
            yield
        except RayError as error:
            said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
            raise UserError(
                f"engine=ray: {type(error).__name__}: {said}; what is finished is kept: run the same command "
                "again, with fewer engine.actors where memory was short"
            ) from error


class _Worker:
    """One actor: its worker, and one shard after the other."""

    def __init__(self, made: bytes, threads: str | None) -> None:
        # Numbers of a model are rounded as its threads have it: as many as the driver has. Ray would say 1.
        if threads is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        else:
            os.environ["OMP_NUM_THREADS"] = threads
        self._made = made
        self._work: Callable[[Any], Any] | None = None

    def __call__(self, block: Any) -> Any:
        import pyarrow as pa

        values = [self._answer(shard) for shard in block.column("shard").to_pylist()]
        return pa.table({"number": block.column("number"), "value": pa.array(values, pa.binary())})

    def _answer(self, shard: bytes) -> bytes:
        """The value, or the error, which the driver raises."""
        from ray import cloudpickle

        try:
            if self._work is None:
                self._work = pickle.loads(self._made)()
            value = self._work(pickle.loads(shard))
        except Exception as error:  # noqa: BLE001 - raised where the person is
            kept = error if isinstance(error, UserError) else RuntimeError(repr(error))
            return bytes(cloudpickle.dumps((None, kept, traceback.format_exc())))
        return bytes(cloudpickle.dumps((value, None, "")))


def _connect(address: str, actors: int) -> None:
    """Join the cluster, once a process. Raises UserError."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if ray.is_initialized():
        return
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    cores = max(os.cpu_count() or 1, actors)
    if address != LOCAL:
        try:
            ray.init(address=address, **options)
            return
        except (ConnectionError, ValueError, RuntimeError) as error:
            if address != AUTO or os.environ.get("RAY_ADDRESS"):
                said = next(iter(str(error).splitlines()), type(error).__name__)
                raise UserError(
                    f"engine.address={address}: no Ray cluster can be joined there: {said}"
                ) from error
    ray.init(address=LOCAL, num_cpus=cores, include_dashboard=False, **options)


def _quiet() -> None:
    """The stage's own bar shows how far the work is; Ray Data would draw one for each of its operators."""
    from ray.data import DataContext

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
