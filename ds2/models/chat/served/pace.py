"""The pace of requests to one server: at most so much a minute, and a halt where the server asks for one.

Written here: rate limiters of libraries count calls, and neither tokens that are known only afterwards nor a
server's halt.
"""

from __future__ import annotations

import asyncio
import time

now = time.monotonic
sleep = asyncio.sleep
"""All clocks and waits of the back end, in one place."""


class Limit:
    """At most `per_minute` units a minute, spread evenly; None: no limit. One event loop uses it."""

    def __init__(self, per_minute: float | None) -> None:
        self._seconds = None if per_minute is None else 60.0 / per_minute
        self._free_at = 0.0

    async def take(self, units: float) -> None:
        """Wait until it is these units' turn."""
        if self._seconds is None:
            return
        asked = now()
        turn = max(asked, self._free_at)
        self._free_at = turn + units * self._seconds
        if turn > asked:
            await sleep(turn - asked)

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
        free = not self.on
        self._until = max(self._until, now() + seconds)
        return free

    @property
    def on(self) -> bool:
        return self._until > now()

    async def wait(self) -> None:
        """Until sending is allowed."""
        while (left := self._until - now()) > 0:
            await sleep(left)
