"""Questions to a server, many in flight, each delivered or given up with a reason, within bounds.

One event loop, stepped by the caller: while it reads an answer nothing else runs, and questions are drawn
from its iterator only as one of the `concurrency` places falls free. The first question goes alone, so that
what the server does not take is learnt once, and what no question can pass costs one.

A fault that can pass is asked again, after the wait that the server asks for, else after a doubling one with
jitter: `DELIVERIES` times and for `PATIENCE` at most, a server that says it is busy for `BUSY`. Faults of
`HOPELESS` questions in a row are put to the test by a plain question: answered, the questions were to blame
and the others go on; else the run ends.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast

from ds2.base.errors import UserError
from ds2.models.chat import Place
from ds2.models.chat.served import pace
from ds2.models.chat.served.loop import SteppedLoop
from ds2.models.chat.served.policy import BUSY as BUSY_STATUS
from ds2.models.chat.served.policy import Fate, Fault

DELIVERIES = 10
"""Times a question is sent before it is given up."""
PATIENCE = 600.0
"""Seconds after its first fault in which a question is sent again."""
BUSY = 3600.0
"""Seconds for which a server may answer a question with 429 before it is given up; `DELIVERIES` times at
least."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds: the first wait, and the longest without a Retry-After."""
HOPELESS = 20
"""Questions in a row without an answer after which a plain one decides whether to go on."""
LAST_ANSWERS = 20.0
"""Seconds for which answers on their way are waited for when no more can be had: they are paid for."""
SEVERAL = 5
"""Deliveries that fail in a row before the person is told why, at most once a minute."""

Q = TypeVar("Q")
A = TypeVar("A")
Q_in = TypeVar("Q_in", contravariant=True)
A_out = TypeVar("A_out", covariant=True)


class Pace(Protocol):
    """How fast to ask: `runtime` of whoever asks."""

    concurrency: int
    requests_per_minute: float | None
    tokens_per_minute: float | None


class Calls(Protocol[Q_in, A_out]):
    """One kind of call to one server."""

    heard: bool
    """Whether the server has answered any question."""

    async def send(self, question: Q_in) -> A_out | Fault:
        """Once. Raises UserError where no question can be answered."""
        ...

    async def plain(self) -> Fault | None:
        """What is wrong with a question that nobody refuses; None: nothing."""
        ...


class Courier(Generic[Q, A]):
    """Questions in, answers out, at most `runtime.concurrency` at a time.

    Args:
        name: the server, for messages.
        tokens: about how many a question takes, with its answer.
        used: how many it took; None: as many as it was taken to.
    """

    def __init__(
        self, calls: Calls[Q, A], loop: SteppedLoop, runtime: Pace, place: Place, name: str,
        tokens: Callable[[Q], float], used: Callable[[A], float],
    ) -> None:  # fmt: skip
        self._calls, self._runtime, self._place, self._name = calls, runtime, place, name
        self._count, self._used = tokens, used
        self._loop = loop
        self._requests = pace.Limit(runtime.requests_per_minute)
        self._tokens = pace.Limit(runtime.tokens_per_minute)
        self.halt = pace.Halt()
        self._failing, self._told = 0, -math.inf
        """Deliveries that failed in a row, and when the person was last told why."""
        self._unanswered = 0
        """Questions in a row."""
        self._sent = set[asyncio.Task[tuple[Q, A | Fault]]]()
        """Of the questions, those on whose answer the server is at work."""
        self._halted = False
        """Whether no question is sent any more."""
        self._begun = False
        """Whether a question was sent, whatever came of it."""

    def answers(self, questions: Iterable[Q]) -> Iterator[list[tuple[Q, A | Fault]]]:
        """Each question with its answer or why there is none, in whatever order they come: those that came
        together in one list, for a caller that may stop at one of them and has paid for all.

        Raises:
            UserError: nothing can be had at all.
        """
        source, running = iter(questions), set[asyncio.Task[tuple[Q, A | Fault]]]()
        done: list[asyncio.Task[tuple[Q, A | Fault]]] = []
        ready = asyncio.Event()

        def finished(task: asyncio.Task[tuple[Q, A | Fault]]) -> None:
            done.append(task)
            ready.set()

        async def some() -> None:
            await ready.wait()
            ready.clear()

        drained = False
        try:
            while True:
                while not drained and len(running) < self._room:
                    question = next(source, None)
                    if question is None:
                        drained = True
                        break
                    task = self._loop.task(self._deliver(question, ready))
                    task.add_done_callback(finished)
                    running.add(task)
                if not running:
                    return
                self._loop.run(some())
                ended, done[:] = list(done), []
                running.difference_update(ended)
                errors = [error for task in ended if (error := task.exception()) is not None]
                delivered = [task.result() for task in ended if task.exception() is None]
                yield delivered
                if errors:  # after the answers that came with them, which are paid for
                    yield self._last(running)
                    raise errors[0]
                for _, answer in delivered:
                    self._judge(answer)
        finally:
            self._abandon(running)

    @property
    def _room(self) -> int:
        return self._runtime.concurrency if self._begun else 1

    def _last(self, running: set[asyncio.Task[tuple[Q, A | Fault]]]) -> list[tuple[Q, A | Fault]]:
        """The answers that are on their way; what waits to be sent, or sent again, is not."""

        async def arrive() -> None:
            for task in running - on_the_way:
                task.cancel()
            if on_the_way:
                await asyncio.wait(on_the_way, timeout=LAST_ANSWERS)

        on_the_way = running & self._sent
        self._halted = True
        self._loop.run(arrive())
        arrived = [task for task in on_the_way if task.done() and not task.cancelled()]
        results = [task.result() for task in arrived if task.exception() is None]
        return [(question, answer) for question, answer in results if not isinstance(answer, Fault)]

    def _abandon(self, running: set[asyncio.Task[tuple[Q, A | Fault]]]) -> None:
        async def ended() -> None:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

        self._loop.run(ended())

    def _judge(self, answer: A | Fault) -> None:
        """Raises UserError where questions stay unanswered in a row and a plain one does too."""
        if not isinstance(answer, Fault):
            self._unanswered = 0
            return
        self._unanswered += 1
        if self._unanswered % HOPELESS:
            return
        fault = self._loop.run(self._calls.plain())
        if fault is not None:
            raise UserError(
                f"{self._name} gave no answer to {HOPELESS} questions in a row, and none to a plain one: "
                f"{fault.reason}. The answers so far are kept; the same command goes on from there"
            )

    async def _deliver(self, question: Q, ready: asyncio.Event) -> tuple[Q, A | Fault]:
        """Send until there is an answer, or a fault that is final or has come too often."""
        expected = self._count(question)
        tries = _Tries()
        while True:
            await self.turn(expected)
            answer = await self._send(question)
            if self._halted:
                return question, answer
            if not self._begun:
                self._begun = True
                ready.set()  # there is room for more
            self._tokens.give_back(expected if isinstance(answer, Fault) else expected - self._used(answer))
            self._notice(answer)
            if not isinstance(answer, Fault) or answer.fate(heard=self._calls.heard) is not Fate.again:
                return question, answer
            wait = tries.wait_after(answer)
            if wait is None:
                return question, answer
            if answer.wait is not None and self.halt.extend(answer.wait) and answer.wait > LONGEST_WAIT:
                self._place.say(f"{self._name} asks to wait {answer.wait:,.0f} seconds")
            await pace.sleep(wait)

    async def _send(self, question: Q) -> A | Fault:
        task = cast("asyncio.Task[tuple[Q, A | Fault]]", asyncio.current_task())
        self._sent.add(task)
        try:
            return await self._calls.send(question)
        finally:
            self._sent.discard(task)

    async def turn(self, tokens: float) -> None:
        """Wait until a question may be sent: the server asked nobody to wait, and the pace allows it."""
        while True:
            await self.halt.wait()
            await self._requests.take(1)
            await self._tokens.take(tokens)
            if not self.halt.on:  # else its place has passed, unused
                return

    def _notice(self, answer: A | Fault) -> None:
        """Tell the person why nothing comes, and that it does again."""
        if not isinstance(answer, Fault):
            if self._failing >= SEVERAL:
                self._place.show("")
            self._failing = 0
            return
        self._place.missed(answer.reason)
        self._failing += 1
        if self._failing < SEVERAL:
            return
        self._place.show(answer.reason[:60])
        if pace.now() - self._told > 60:
            self._told = pace.now()
            again = answer.fate(heard=self._calls.heard) is Fate.again
            then = "it is asked again" if again else "the others are asked"
            self._place.say(f"{self._name} gives no answers ({answer.reason}); {then}")


@dataclass
class _Tries:
    """How often one question failed."""

    faults: int = 0
    busy: int = 0
    since: float = 0.0
    """When the first fault came."""
    busy_since: float = 0.0
    """When the server first said that it is busy."""

    def wait_after(self, fault: Fault) -> float | None:
        """Seconds to wait after a fault: as the server says, and longer each time; None: enough."""
        now = pace.now()
        if fault.status == BUSY_STATUS:
            self.busy_since = self.busy_since if self.busy else now
            self.busy += 1
            tries, enough = self.busy, self.busy >= DELIVERIES and now - self.busy_since >= BUSY
        else:
            self.since = self.since if self.faults else now
            self.faults += 1
            tries, enough = self.faults, self.faults >= DELIVERIES or now - self.since >= PATIENCE
        ours = random.uniform(0.5, 1) * min(FIRST_WAIT * 2 ** min(tries - 1, 30), LONGEST_WAIT)
        said = (fault.wait or 0.0) * random.uniform(1, 1.1)  # not all at once when the halt ends
        return None if enough else max(ours, said)
