"""Any OpenAI-compatible server as a back end: its answers, and what a failed question becomes.

`courier` delivers, `calls` asks once and learns what the server takes, `policy` says what a fault means,
`listing` reads which models there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ds2.base.errors import UserError
from ds2.config import ChatConfig, ChatRuntime
from ds2.models.chat import Answer, AnswerForm, ChatRequest, Place
from ds2.models.chat.served.calls import ChatCalls
from ds2.models.chat.served.courier import Courier
from ds2.models.chat.served.format import ChatFormat
from ds2.models.chat.served.listing import list_models
from ds2.models.chat.served.loop import SteppedLoop
from ds2.models.chat.served.policy import Fault
from ds2.models.chat.tokens import estimate_tokens

IMPROBABLE = 5
"""First answers without probabilities, where they are read, that end the stage."""


@contextmanager
def open(config: ChatConfig, form: AnswerForm, revision: str | None, place: Place) -> Iterator[ServerBackend]:
    """The server; it is looked at when the first question is asked. Raises UserError without a key."""
    backend = ServerBackend(ChatFormat.of(config, form), config.runtime, place)
    try:
        yield backend
    finally:
        backend.close()


class ServerBackend:
    """Requests in, answers out, at most `runtime.concurrency` at a time."""

    def __init__(self, format: ChatFormat, runtime: ChatRuntime, place: Place) -> None:
        self._format, self._connection, self._runtime = format, format.connection, runtime
        self.loop = SteppedLoop()
        self._client = self._connection.async_client(runtime.concurrency)
        self._calls = ChatCalls(format, self._client, self.loop, runtime.timeout, place.say)
        self.courier: Courier[ChatRequest, Answer] = Courier(
            self._calls, self.loop, runtime, place, self._connection.name,
            tokens=lambda request: self.count_tokens(request.chat[-1]["content"]) + format.max_new_tokens,
            used=lambda answer: answer.prompt_tokens + answer.completion_tokens,
        )  # fmt: skip
        self._say, self._keep = place.say, place.keep
        self._checked = False
        self._probable = False
        """Whether an answer came with probabilities."""
        self._withheld: list[Answer] = []

    def close(self) -> None:
        self.loop.run(self._client.close())
        self.loop.close()

    def count_tokens(self, text: str) -> int:
        """See `Backend`; a server's tokenizer is not at hand."""
        return estimate_tokens(text)

    def check(self) -> str | None:
        """Ask which models there are: costs nothing. Returns the address at which the server answers.

        Raises:
            UserError: no server, or none that can be used.
        """
        self._checked = True
        listing = self.loop.run(list_models(self._client, self._connection, self.loop, self._runtime.timeout))
        self._calls.listing = listing
        if listing.address is not None:
            option = f"{self._connection.group}.base_url"
            self._say(f"{self._connection.name} answers below /v1: {option}={listing.address}")
        return listing.address or self._connection.base_url

    def answers(self, requests: Iterable[ChatRequest]) -> Iterator[Answer]:
        """See `Backend`."""
        for came in self.courier.answers(self._checking(requests)):
            answers: list[Answer] = []
            for request, answer in came:
                if isinstance(answer, Fault):
                    answers.append(Answer(request.key, answer.reason, finish="failed", final=True))
                    continue
                for counted in self._counted(answer):
                    self._keep(counted)
                    answers.append(counted)
            yield from answers
        yield from self._release()

    def _checking(self, requests: Iterable[ChatRequest]) -> Iterator[ChatRequest]:
        """The requests; before the first one the server is looked at."""
        for request in requests:
            if not self._checked:
                self.check()
            yield request

    def _counted(self, answer: Answer) -> list[Answer]:
        """The answers that can be handed on now.

        Those without probabilities wait for the first one that has some: where none has, a server that gives
        none would leave unreadable answers in the log, to be replayed when it does.

        Raises:
            UserError: no probabilities are given.
        """
        written = answer.finish in ("stop", "length") and answer.text
        if not self._format.form.tokens or self._probable or not written:
            return [answer]
        self._withheld.append(answer)
        if answer.distribution != ():
            self._probable = True
            return self._release()
        if len(self._withheld) == IMPROBABLE:
            raise UserError(
                f"{self._format.form.option} needs token probabilities (logprobs), which "
                f"{self._format.model} at {self._connection.name} does not give; "
                f"{self._format.form.otherwise}"
            )
        return []

    def _release(self) -> list[Answer]:
        released, self._withheld = self._withheld, []
        return released


__all__ = ["ServerBackend", "open"]
