"""Where the shards of long work are done: here, one after the other, or by the actors of an engine.

A stage says how a worker is made and what its shards are; an engine says who works on them. What comes of a
shard depends on the shard alone, so that the results are the same whatever the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

Shard = TypeVar("Shard")
Value = TypeVar("Value")


class Engine(Protocol):
    """Does the shards of some work."""

    @property
    def actors(self) -> int:
        """Workers side by side, each in a process of its own; 0: the work is done in this process."""
        ...

    def map(
        self, make: Callable[[], Callable[[Shard], Value]], shards: Iterable[Shard]
    ) -> Iterator[tuple[int, Value]]:
        """What a worker makes of each shard, with the shard's number, in whatever order they are done.

        Args:
            make: makes a worker, once in each actor that has something to do: a model is loaded there.

        Raises:
            UserError: one that the worker raised, or the engine cannot be used.
        """
        ...


class LocalEngine:
    """This process."""

    actors = 0

    def map(
        self, make: Callable[[], Callable[[Shard], Value]], shards: Iterable[Shard]
    ) -> Iterator[tuple[int, Value]]:
        """See `Engine`; shards are drawn one at a time."""
        work: Callable[[Shard], Value] | None = None
        for number, shard in enumerate(shards):
            work = work or make()
            yield number, work(shard)


HERE = LocalEngine()
