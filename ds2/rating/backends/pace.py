"""The pace of requests to one server: at most so much a minute, and a halt of all where the server asks for one."""

from __future__ import annotations

import asyncio
import time


class Limit:
    """At most `per_minute` units a minute, spread evenly; None: no limit. One event loop uses it."""

    def __init__(self, per_minute: float | None) -> None:
        self._seconds = None if per_minute is None else 60.0 / per_minute
        self._free_at = 0.0

    async def take(self, units: float) -> None:
        """Wait until it is these units' turn."""
        if self._seconds is None:
            return
        now = time.monotonic()
        turn = max(now, self._free_at)
        self._free_at = turn + units * self._seconds
        if turn > now:
            await asyncio.sleep(turn - now)

    def give_back(self, units: float) -> None:
        """Units that were taken and then not used (negative: more were used)."""
        if self._seconds is not None:
            self._free_at -= units * self._seconds


class Halt:
    """A time before which nobody sends."""

    def __init__(self) -> None:
        self._until = 0.0

    def extend(self, seconds: float) -> bool:
        """Nobody sends for so long from now. Returns whether all were free to send before."""
        now = time.monotonic()
        free = self._until <= now
        self._until = max(self._until, now + seconds)
        return free

    async def wait(self) -> None:
        """Until sending is allowed."""
        while (left := self._until - time.monotonic()) > 0:
            await asyncio.sleep(left)
