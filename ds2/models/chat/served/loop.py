"""An event loop that is stepped from plain code, whatever runs in the caller's thread.

A notebook's cells run inside a loop of the notebook's own, and a thread runs one loop at a time: this one
has a thread to itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from concurrent import futures
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class SteppedLoop:
    """Tasks that move on only while the caller waits in `run`; between two calls nothing happens."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = futures.ThreadPoolExecutor(1, "requests")
        self._limits: set[asyncio.Timeout] = set()
        self._left_at = self._loop.time()
        """When the last step ended."""

    def task(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """What `run` moves on beside its own work."""
        return self._loop.create_task(coroutine)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Wait for the coroutine, and let every task move on meanwhile."""
        task = self._loop.create_task(self._resumed(coroutine))
        step = self._thread.submit(self._loop.run_until_complete, task)
        try:
            return step.result()
        finally:
            if not step.done():  # the caller was interrupted: end the step, so that another can be taken
                self._loop.call_soon_threadsafe(task.cancel)
                futures.wait([step])

    @asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[None]:
        """Raises TimeoutError after so many seconds of waiting: the caller's own work does not count."""
        async with asyncio.timeout(seconds) as limit:
            self._limits.add(limit)
            try:
                yield
            finally:
                self._limits.discard(limit)

    async def _resumed(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The coroutine, once every limit has been put off by the time for which the loop stood still."""
        stood = self._loop.time() - self._left_at
        for limit in self._limits:
            if (when := limit.when()) is not None and not limit.expired():
                limit.reschedule(when + stood)
        try:
            return await coroutine
        finally:
            self._left_at = self._loop.time()

    def close(self) -> None:
        """End the thread; the loop takes no more work."""
        self._thread.shutdown()
        self._loop.close()
