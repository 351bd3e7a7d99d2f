"""Any OpenAI-compatible server: many requests in flight, each delivered or given up with a reason.

One event loop, stepped in the caller's thread: while the caller reads an answer nothing else runs, and requests are drawn
from the caller's iterator only as one of the `concurrency` places falls free. What can pass (429, 5xx, timeouts, broken
connections, bodies that are no completion) is sent again, after `Retry-After` where the server says it, else after a
doubling wait with jitter. What cannot pass (wrong key, unknown model, no credit) ends the stage at once.
"""

from __future__ import annotations

import asyncio
import difflib
import email.utils
import json
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import aiohttp
import openai

from ds2.config import LlmRaterConfig, RaterRuntime
from ds2.errors import UserError
from ds2.rating.backends import Answer, Place, Request
from ds2.rating.backends.openai_chat import PASSING, ChatFormat
from ds2.rating.backends.pace import Halt, Limit
from ds2.rating.conversation import estimate_tokens

DELIVERIES = 10
"""Times a request is sent before it is given up: about three minutes of waiting."""
LIMITED = 100
"""The same where the server answers 429 each time: it is there, and says that it is busy."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds: the first wait, and the longest without a Retry-After."""
HOPELESS = 20
"""Requests given up in a row, without an answer between them, that end the stage; first answers without probabilities too,
where they are read."""
CHECK_TIMEOUT = 30.0


@contextmanager
def open(config: LlmRaterConfig, revision: str | None, place: Place) -> Iterator[ServerBackend]:
    """The server, checked for the model. Raises UserError where it is not there or lacks the model."""
    backend = ServerBackend(ChatFormat.of(config), config.runtime, place.say)
    try:
        backend.check()
        yield backend
    finally:
        backend.close()


class ServerBackend:
    """Requests in, answers out, at most `runtime.concurrency` at a time."""

    def __init__(
        self, format: ChatFormat, runtime: RaterRuntime, say: Callable[[str], None] = lambda line: None
    ) -> None:
        self._format, self._connection, self._runtime = format, format.connection, runtime
        self._loop = asyncio.new_event_loop()
        self._client = self._connection.async_client(runtime.timeout, runtime.concurrency)
        self._requests, self._tokens = Limit(runtime.requests_per_minute), Limit(runtime.tokens_per_minute)
        self._halt, self._say = Halt(), say
        self._with_schema = format.schema is not None
        self._given_up = 0
        """In a row."""
        self._probable = False
        """Whether an answer came with probabilities."""
        self._withheld: list[Answer] = []

    def close(self) -> None:
        self._loop.run_until_complete(self._client.close())
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
            listed = self._loop.run_until_complete(
                self._client.models.with_raw_response.list(timeout=min(self._runtime.timeout, CHECK_TIMEOUT))
            ).content
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise self._refused(error) from None
        except openai.APIStatusError:
            return  # there is a server, and it has no such list
        except openai.APIConnectionError:
            raise UserError(
                f"no server answers at {self._connection.name}: start it, or check rater.base_url"
            ) from None
        names = _model_names(listed)
        if names and self._format.model not in names:
            near = difflib.get_close_matches(self._format.model, names, n=3, cutoff=0.3)
            shown = near + [name for name in names if name not in near]
            more = f" and {len(shown) - 10} more" if len(shown) > 10 else ""
            raise UserError(
                f"{self._connection.name} has no model {self._format.model}; it has: {', '.join(shown[:10])}{more}"
            )

    def answers(self, requests: Iterable[Request]) -> Iterator[Answer]:
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
                    task = self._loop.create_task(self._deliver(request))
                    task.add_done_callback(finished)
                    running.add(task)
                if not running:
                    yield from self._release()
                    return
                self._loop.run_until_complete(some())
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
        for task in running:
            task.cancel()
        if running:
            self._loop.run_until_complete(asyncio.gather(*running, return_exceptions=True))

    def _counted(self, answer: Answer) -> list[Answer]:
        """The answers that can be handed on now.

        Those without probabilities wait for the first one that has some: where none has, a server that gives none would
        leave unreadable answers in the log, to be replayed when it does.

        Raises:
            UserError: nothing is delivered any more, or no probabilities are.
        """
        self._given_up = self._given_up + 1 if answer.finish == "failed" else 0
        if self._given_up >= HOPELESS:
            raise UserError(
                f"{self._connection.name} gave no answer to {HOPELESS} requests in a row, the last time: {answer.text}. "
                "The answers so far are kept; the same command goes on from there"
            )
        written = answer.finish in ("stop", "length") and answer.text
        if not self._format.digits or self._probable or not written:
            return [answer]
        self._withheld.append(answer)
        if answer.distribution != ():
            self._probable = True
            return self._release()
        if len(self._withheld) == HOPELESS:
            raise UserError(
                f"rater.reading=expected needs token probabilities (logprobs), which {self._format.model} at "
                f"{self._connection.name} does not give; use rater.reading=answer"
            )
        return []

    def _release(self) -> list[Answer]:
        released, self._withheld = self._withheld, []
        return released

    async def _deliver(self, request: Request) -> Answer:
        """Send until there is an answer, or `failed` with the last reason."""
        tokens = self.count_tokens(request.chat[-1]["content"]) + self._format.max_new_tokens
        attempt = 0
        while True:
            await self._requests.take(1)
            await self._tokens.take(tokens)
            await self._halt.wait()
            answer, wait, most = await self._try(request)
            if answer.finish != "failed":
                self._tokens.give_back(tokens - answer.prompt_tokens - answer.completion_tokens)
                return answer
            attempt += 1
            if attempt >= most:
                return answer
            if wait is None:
                wait = random.uniform(0.5, 1) * min(FIRST_WAIT * 2 ** (attempt - 1), LONGEST_WAIT)
            else:
                if self._halt.extend(wait) and wait > LONGEST_WAIT:
                    self._say(f"{self._connection.name} asks to wait {wait:,.0f} seconds")
                wait *= random.uniform(0, 0.1)  # not all at once when the halt ends
            await asyncio.sleep(wait)

    async def _try(self, request: Request) -> tuple[Answer, float | None, int]:
        """One delivery: the answer; where it failed, seconds to wait as the server says and how often to try at most."""
        try:
            return await self._send(request), None, DELIVERIES
        except openai.RateLimitError as error:
            if error.code == "insufficient_quota":
                raise self._refused(error) from None
            return self._failed(request, error), _retry_after(error), LIMITED
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            raise self._refused(error) from None
        except openai.APIStatusError as error:
            if error.code == "content_filter":
                words = self._connection.reason(error)
                return Answer(request.key, words, finish="filtered"), None, 1
            passing = error.status_code in PASSING or error.status_code >= 500
            return self._failed(request, error), _retry_after(error), DELIVERIES if passing else 1
        except openai.APIConnectionError as error:
            return self._failed(request, error), None, DELIVERIES
        except (
            aiohttp.ClientError
        ) as error:  # what the client does not translate, such as a garbled status line
            words = f"{type(error).__name__}: {self._connection.without_key(error)}"
            return Answer(request.key, words[:300], finish="failed"), None, DELIVERIES

    async def _send(self, request: Request) -> Answer:
        with_schema = self._with_schema
        try:
            return await self._post(request, with_schema=with_schema)
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            if not with_schema or error.code == "content_filter":
                raise
        answer = await self._post(request, with_schema=False)
        self._with_schema = False  # it was the schema that the server refused: never sent again
        return answer

    async def _post(self, request: Request, *, with_schema: bool) -> Answer:
        body = self._format.body(request, with_schema=with_schema)
        model, messages = body.pop("model"), body.pop("messages")
        raw = await self._client.chat.completions.with_raw_response.create(
            model=model, messages=messages, extra_body=body
        )
        try:
            # Not valid UTF-8 somewhere: the digits may still be there.
            completion = json.loads(raw.content.decode("utf-8", errors="replace"))
        except ValueError:
            said = self._connection.without_key(raw.content[:100].decode("utf-8", errors="replace"))
            return Answer(request.key, f"the server sent no JSON but {said!r}", finish="failed")
        return self._format.answer(request.key, completion)

    def _failed(self, request: Request, error: openai.APIError) -> Answer:
        return Answer(request.key, self._connection.reason(error), finish="failed")

    def _refused(self, error: openai.APIStatusError) -> UserError:
        reason = self._connection.reason(error)
        if error.status_code in (401, 403):
            return UserError(
                f"{self._connection.name} refuses the key in {self._connection.variable} ({reason})"
            )
        if error.status_code == 404:
            return UserError(f"{self._connection.name} has no model {self._format.model} ({reason})")
        return UserError(f"{self._connection.name} has no credit left for this key ({reason})")


def _model_names(body: bytes) -> list[str]:
    """Names in a list of models; none where it is something else."""
    try:
        listed = json.loads(body)["data"]
        return sorted(str(entry["id"]) for entry in listed)
    except (ValueError, KeyError, TypeError):
        return []


def _retry_after(error: openai.APIStatusError) -> float | None:
    """Seconds that the server asks to wait; None where it does not say, or says none."""
    headers: Mapping[str, str] = error.response.headers
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds):
            return seconds if seconds > 0 else None
    try:
        moment = email.utils.parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError):
        return None
    left = moment.timestamp() - time.time()
    return left if left > 0 else None


__all__ = ["ServerBackend", "open"]
