"""Any OpenAI-compatible server: many requests in flight, each delivered or given up with a reason.

One event loop, stepped by the caller: while it reads an answer nothing else runs, and requests are drawn
from its iterator only as one of the `concurrency` places falls free. What can pass (429, 5xx, timeouts,
broken connections, bodies that are no completion) is sent again, after `Retry-After` where the server says
it, else after a doubling wait with jitter. What cannot pass (wrong key, unknown model, no credit) ends the
stage at once. `ds2.models.chat.served.calls` sends one question once and says which of these it was.
"""

from __future__ import annotations

import asyncio
import difflib
import json
import math
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp
import openai

from ds2.base.errors import UserError
from ds2.config import ChatConfig, ChatRuntime
from ds2.models.chat import Answer, AnswerForm, ChatRequest, Place
from ds2.models.chat.served import pace
from ds2.models.chat.served.calls import ChatCalls, Delivery
from ds2.models.chat.served.format import ChatFormat
from ds2.models.chat.served.loop import SteppedLoop
from ds2.models.chat.tokens import estimate_tokens

DELIVERIES = 10
"""Times a request is sent before it is given up: about three minutes of waiting, and the timeouts."""
BUSY = 3600.0
"""Seconds for which a server may answer a request with 429 before it is given up; `DELIVERIES` times at
least."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds: the first wait, and the longest without a Retry-After."""
HOPELESS = 20
"""Requests given up in a row, without an answer between them, that end the stage; first answers without
probabilities too, where they are read."""
SEVERAL = 5
"""Deliveries that fail in a row before the person is told why, at most once a minute."""
CHECK_TIMEOUT = 30.0


@contextmanager
def open(config: ChatConfig, form: AnswerForm, revision: str | None, place: Place) -> Iterator[ServerBackend]:
    """The server, checked for the model. Raises UserError where it is not there or lacks the model."""
    backend = ServerBackend(ChatFormat.of(config, form), config.runtime, place)
    try:
        backend.check()
        yield backend
    finally:
        backend.close()


class ServerBackend:
    """Requests in, answers out, at most `runtime.concurrency` at a time."""

    def __init__(self, format: ChatFormat, runtime: ChatRuntime, place: Place) -> None:
        self._format, self._connection, self._runtime = format, format.connection, runtime
        self._place = place
        self._loop = SteppedLoop()
        self._client = self._connection.async_client(runtime.timeout, runtime.concurrency)
        self._calls = ChatCalls(format, self._client, place.say)
        self._requests = pace.Limit(runtime.requests_per_minute)
        self._tokens = pace.Limit(runtime.tokens_per_minute)
        self._halt = pace.Halt()
        self._failing, self._told = 0, -math.inf
        """Deliveries that failed in a row, and when the person was last told why."""
        self._given_up = 0
        """In a row."""
        self._probable = False
        """Whether an answer came with probabilities."""
        self._withheld: list[Answer] = []

    def close(self) -> None:
        self._loop.run(self._client.close())
        self._loop.close()

    def count_tokens(self, text: str) -> int:
        """See `Backend`; a server's tokenizer is not at hand."""
        return estimate_tokens(text)

    def check(self) -> None:
        """Ask which models there are; a server without that list is taken at its word later. Costs nothing.

        Raises:
            UserError: no server, wrong key, or no such model.
        """
        if self._connection.api_version is not None:
            return  # an Azure resource lists models, not deployments
        try:
            listed = self._loop.run(self._listed())
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise self._calls.refused(error) from None
        except openai.APIStatusError:
            return  # there is a server, and it has no such list
        except openai.APIConnectionError:
            raise UserError(
                f"no server answers at {self._connection.name}: start it, or check "
                f"{self._connection.group}.base_url"
            ) from None
        except aiohttp.ClientError as error:  # raised by what is no HTTP at all
            raise UserError(
                f"what answers at {self._connection.name} is no HTTP server ({type(error).__name__}): check "
                f"{self._connection.group}.base_url"
            ) from None
        names = _model_names(listed)
        if names and self._format.model not in names:
            near = difflib.get_close_matches(self._format.model, names, n=3, cutoff=0.3)
            shown = near + [name for name in names if name not in near]
            more = f" and {len(shown) - 10} more" if len(shown) > 10 else ""
            raise UserError(
                f"{self._connection.name} has no model {self._format.model}; it has: "
                f"{', '.join(shown[:10])}{more}"
            )

    async def _listed(self) -> bytes:
        timeout = min(self._runtime.timeout, CHECK_TIMEOUT)
        return (await self._client.models.with_raw_response.list(timeout=timeout)).content

    def answers(self, requests: Iterable[ChatRequest]) -> Iterator[Answer]:
        """See `Backend`."""
        source, running = iter(requests), set[asyncio.Task[Answer]]()
        done: list[asyncio.Task[Answer]] = []
        ready = asyncio.Event()

        def finished(task: asyncio.Task[Answer]) -> None:
            done.append(task)
            ready.set()

        async def some() -> None:
            await ready.wait()
            ready.clear()

        drained = False
        try:
            while True:
                while not drained and len(running) < self._runtime.concurrency:
                    request = next(source, None)
                    if request is None:
                        drained = True
                        break
                    task = self._loop.task(self._deliver(request))
                    task.add_done_callback(finished)
                    running.add(task)
                if not running:
                    yield from self._release()
                    return
                self._loop.run(some())
                ended, done[:] = list(done), []
                running.difference_update(ended)
                errors = [error for task in ended if (error := task.exception()) is not None]
                for task in ended:
                    if task.exception() is None:
                        yield from self._counted(task.result())
                if errors:  # after the answers that came with them, which are paid for
                    raise errors[0]
        finally:
            self._abandon(running)

    def _abandon(self, running: set[asyncio.Task[Answer]]) -> None:
        async def ended() -> None:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

        self._loop.run(ended())

    def _counted(self, answer: Answer) -> list[Answer]:
        """The answers that can be handed on now.

        Those without probabilities wait for the first one that has some: where none has, a server that gives
        none would leave unreadable answers in the log, to be replayed when it does.

        Raises:
            UserError: nothing is delivered any more, or no probabilities are.
        """
        self._given_up = self._given_up + 1 if answer.finish == "failed" else 0
        if self._given_up >= HOPELESS:
            raise UserError(
                f"{self._connection.name} gave no answer to {HOPELESS} requests in a row, the last time: "
                f"{answer.text}. The answers so far are kept; the same command goes on from there"
            )
        written = answer.finish in ("stop", "length") and answer.text
        if not self._format.form.tokens or self._probable or not written:
            return [answer]
        self._withheld.append(answer)
        if answer.distribution != ():
            self._probable = True
            return self._release()
        if len(self._withheld) == HOPELESS:
            raise UserError(
                f"{self._format.form.option} needs token probabilities (logprobs), which "
                f"{self._format.model} at {self._connection.name} does not give; "
                f"{self._format.form.otherwise}"
            )
        return []

    def _release(self) -> list[Answer]:
        released, self._withheld = self._withheld, []
        return released

    async def _deliver(self, request: ChatRequest) -> Answer:
        """Send until there is an answer, or `failed` with the last reason."""
        tokens = self.count_tokens(request.chat[-1]["content"]) + self._format.max_new_tokens
        tries = _Tries()
        while True:
            await self._turn(tokens)
            delivery = await self._calls.send(request)
            answer = delivery.answer
            self._tokens.give_back(tokens - answer.prompt_tokens - answer.completion_tokens)
            self._notice(answer)
            if answer.finish != "failed" or answer.final:
                return answer
            wait = tries.wait_after(delivery)
            if wait is None:
                return answer
            if (
                delivery.wait is not None
                and self._halt.extend(delivery.wait)
                and delivery.wait > LONGEST_WAIT
            ):
                self._place.say(f"{self._connection.name} asks to wait {delivery.wait:,.0f} seconds")
            await pace.sleep(wait)

    async def _turn(self, tokens: float) -> None:
        """Wait until a request may be sent: the server asked nobody to wait, and the pace allows it."""
        while True:
            await self._halt.wait()
            await self._requests.take(1)
            await self._tokens.take(tokens)
            if not self._halt.on:  # else its place has passed, unused
                return

    def _notice(self, answer: Answer) -> None:
        """Tell the person why nothing comes, and that it does again."""
        if answer.finish != "failed":
            if self._failing >= SEVERAL:
                self._place.show("")
            self._failing = 0
            return
        self._failing += 1
        if self._failing < SEVERAL:
            return
        self._place.show(answer.text[:60])
        if pace.now() - self._told > 60:
            self._told = pace.now()
            self._place.say(f"{self._connection.name} gives no answers ({answer.text}); it is asked again")


@dataclass
class _Tries:
    """How often one request failed."""

    faults: int = 0
    busy: int = 0
    since: float = 0.0
    """When the server first said that it is busy."""

    def wait_after(self, delivery: Delivery) -> float | None:
        """Seconds to wait after a failed delivery: as the server says, and longer each time; None: enough."""
        if delivery.busy:
            self.since = self.since if self.busy else pace.now()
            self.busy += 1
            tries, enough = self.busy, self.busy >= DELIVERIES and pace.now() - self.since >= BUSY
        else:
            self.faults += 1
            tries, enough = self.faults, self.faults >= DELIVERIES
        ours = random.uniform(0.5, 1) * min(FIRST_WAIT * 2 ** min(tries - 1, 30), LONGEST_WAIT)
        said = (delivery.wait or 0.0) * random.uniform(1, 1.1)  # not all at once when the halt ends
        return None if enough else max(ours, said)


def _model_names(body: bytes) -> list[str]:
    """Names in a list of models; none where it is something else."""
    try:
        listed = json.loads(body)["data"]
        return sorted(str(entry["id"]) for entry in listed)
    except (ValueError, KeyError, TypeError):
        return []


__all__ = ["ServerBackend", "open"]
