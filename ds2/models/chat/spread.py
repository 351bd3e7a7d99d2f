"""A back end spread over the actors of an engine: each opens the configured one, and answers shards.

An actor on the asker's own machine keeps each answer in the log as it comes, and so does not ask again what
one that died before it had been answered. Elsewhere a shard's answers are kept when the shard is done, or as
far as it came when its server failed.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from ds2.base.engine import Engine
from ds2.base.errors import UserError
from ds2.config import ChatConfig
from ds2.models.chat import Answer, AnswerForm, Backend, ChatRequest, Place, open_backend
from ds2.models.chat.answer_log import AnswerLog
from ds2.models.chat.tokens import estimate_tokens

_TURNS = 4
"""A shard holds so many times what its actor has in flight: the last answers of a shard are waited for."""


class _Limits(Protocol):
    concurrency: int
    requests_per_minute: float | None
    tokens_per_minute: float | None


Runtime = TypeVar("Runtime", bound=_Limits)


def shared_out(runtime: Runtime, actors: int) -> Runtime:
    """One actor's part of what a server is asked at most."""

    def part(rate: float | None) -> float | None:
        return None if rate is None else rate / actors

    changed: Runtime = replace(  # type: ignore[type-var]
        runtime,
        concurrency=max(1, runtime.concurrency // actors),
        requests_per_minute=part(runtime.requests_per_minute),
        tokens_per_minute=part(runtime.tokens_per_minute),
    )
    return changed


@contextmanager
def open_spread(
    config: ChatConfig, form: AnswerForm, revision: str | None, place: Place, engine: Engine
) -> Iterator[Backend]:
    """See `open_backend`; nothing is opened before the first question."""
    count = estimate_tokens
    if not config.backend.served:
        from ds2.models.chat.local.tokenizer import load_tokenizer

        tokenizer = load_tokenizer(config, revision, place)
        count = lambda text: len(tokenizer.encode(text, add_special_tokens=False))  # noqa: E731
    own = replace(config, runtime=shared_out(config.runtime, engine.actors))
    yield SpreadBackend(engine, own, form, revision, place, count)


@dataclass(frozen=True)
class _Part:
    """What came of a shard."""

    answers: list[Answer]
    lines: list[str]
    """What its actor has to say."""
    missed: list[str]
    """Why deliveries failed, one by one; most questions were asked again."""
    error: UserError | None
    """Why there are no more answers."""


class SpreadBackend:
    """One back end over all actors."""

    def __init__(
        self, engine: Engine, config: ChatConfig, form: AnswerForm, revision: str | None, place: Place,
        count_tokens: Callable[[str], int],
    ) -> None:  # fmt: skip
        self._engine, self._place, self._count_tokens = engine, place, count_tokens
        self._make = partial(_Asker, config, form, revision, str(place.folder), socket.gethostname())
        in_flight = config.runtime.concurrency if config.backend.served else config.runtime.batch_size
        self._size = _TURNS * in_flight
        self._said: set[str] = set()
        self._missed = 0

    def count_tokens(self, text: str) -> int:
        """See `Backend`."""
        return self._count_tokens(text)

    def answers(self, requests: Iterable[ChatRequest]) -> Iterator[Answer]:
        """See `Backend`; all requests are drawn at once."""
        for _, part in self._engine.map(self._make, _shards(requests, self._size)):
            for line in part.lines:
                if line not in self._said:
                    self._said.add(line)
                    self._place.say(line)
            if part.missed:
                self._missed += len(part.missed)
                self._place.show(f"failed deliveries: {self._missed:,}, the last: {part.missed[-1]}"[:80])
            yield from part.answers
            if part.error is not None:
                raise part.error


def _shards(requests: Iterable[ChatRequest], size: int) -> Iterator[list[ChatRequest]]:
    source = iter(requests)
    while shard := list(islice(source, size)):
        yield shard


class _Asker:
    """One actor's back end."""

    def __init__(
        self, config: ChatConfig, form: AnswerForm, revision: str | None, folder: str, host: str
    ) -> None:
        self._lines: list[str] = []
        self._missed: list[str] = []
        self._log = Path(folder) if socket.gethostname() == host and Path(folder).is_dir() else None
        self._open = ExitStack()  # for the actor's life
        place = Place(Path(folder), self._lines.append, missed=self._missed.append)
        self._backend = self._open.enter_context(open_backend(config, form, revision, place))

    def __call__(self, requests: Sequence[ChatRequest]) -> _Part:
        answers: list[Answer] = []
        error: UserError | None = None
        with ExitStack() as opened:
            log = None if self._log is None else opened.enter_context(AnswerLog(self._log))
            left = list(requests)
            if log is not None:  # of an actor that died over this shard
                answers = [known for each in requests if (known := log.get(each.key)) is not None]
                there = {answer.key for answer in answers}
                left = [each for each in requests if each.key not in there]
            try:
                for answer in self._backend.answers(left):
                    if log is not None:
                        log.add(answer)
                    answers.append(answer)
            except UserError as raised:
                error = raised
        part = _Part(answers, list(self._lines), list(self._missed), error)
        self._lines.clear()
        self._missed.clear()
        return part
