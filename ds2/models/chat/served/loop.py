"""An event loop that is stepped from plain code, whatever runs in the caller's thread.

A notebook's cells run inside a loop of the notebook's own, and a thread runs one loop at a time: this one
has a thread to itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent import futures
from typing import Any, TypeVar

T = TypeVar("T")


class SteppedLoop:
    """Tasks that move on only while the caller waits in `run`; between two calls nothing happens."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = futures.ThreadPoolExecutor(1, "requests")

    def task(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """What `run` moves on beside its own work."""
        return self._loop.create_task(coroutine)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Wait for the coroutine, and let every task move on meanwhile."""
        task = self._loop.create_task(coroutine)
        step = self._thread.submit(self._loop.run_until_complete, task)
        try:
            return step.result()
        finally:
            if not step.done():  # the caller was interrupted: end the step, so that another can be taken
                self._loop.call_soon_threadsafe(task.cancel)
                futures.wait([step])

    def close(self) -> None:
        """End the thread; the loop takes no more work."""
        self._thread.shutdown()
        self._loop.close()
