"""How a language model is asked: one small interface, one file a back end.

A back end turns requests into answers and knows nothing of pools, scores, retries or logs: `ds2.rating.by_model`
builds the requests, replays what the answer log holds, reads the answers, and asks again where one cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

from ds2.config import LlmRaterConfig, RaterBackend, Reading

Chat = tuple[dict[str, str], ...]
"""Messages with `role` and `content`, instructions first so that their prefix is shared by all requests."""


@dataclass(frozen=True)
class Request:
    """One question to the model."""

    key: str
    """Hash of everything that decides the answer (prompt, model, sampling, repeat, try): names it in the answer log."""
    chat: Chat
    seed: int | None = None
    """For back ends that can seed each request; otherwise ignored."""


@dataclass(frozen=True)
class Answer:
    """What came back, as it came; whether it is a rating is not judged here."""

    key: str
    text: str
    finish: str = "stop"
    """`stop`; `length` (cut at max_new_tokens); `refusal`; `filtered`; `failed` (no answer after the back end's own
    attempts at delivery: `text` then says why). Only `failed` answers are not kept in the log."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Of the prompt's tokens, those that the server took from its prefix cache."""
    completion_tokens: int = 0
    distribution: tuple[float, ...] | None = None
    """With `rater.reading=expected`: probabilities of the ratings 1, 2, ..., 9, summing to 1; None where the first token is
    hardly ever one of these digits, () where the server gave no probabilities."""
    model: str = ""
    """The model as the server names it in its answer."""
    final: bool = False
    """Of a `failed` answer: the server refuses this question, and would again."""
    without_schema: bool = False
    """Asked for without the JSON schema that it should have been held to, because the server refused that."""


class Backend(Protocol):
    """An open connection to a model, or the model itself."""

    def answers(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """An answer for each request, in whatever order they come; requests are drawn as they can be sent, so memory
        does not grow with their number.

        Raises:
            UserError: nothing can be had at all (no such model, wrong key, server down for good): once, not per request.
        """
        ...

    def count_tokens(self, text: str) -> int:
        """Tokens of a text: counted where the tokenizer is at hand, a cautious estimate otherwise."""
        ...


@dataclass(frozen=True)
class Place:
    """Where a back end works."""

    folder: Path
    """For what must outlive the process, such as batches at a server; made by the back end that needs it."""
    say: Callable[[str], None] = lambda line: None
    """Tells the person one line while the back end works."""
    show: Callable[[str], None] = lambda state: None
    """Shows the person how things stand, in place of what was shown before; empty: nothing."""


Opener = Callable[[LlmRaterConfig, str | None, Place], AbstractContextManager[Backend]]
"""`open(config, revision, place)` of a back end's module; `revision` is the resolved commit of a hub model."""


def open_backend(
    config: LlmRaterConfig, revision: str | None, place: Place
) -> AbstractContextManager[Backend]:
    """The configured back end, started; its module and libraries are imported only here.

    Raises:
        UserError: the model or server cannot be used.
        ModuleNotFoundError: the back end's extra is not installed.
    """
    opener: Opener = import_module(_MODULES[config.backend]).open
    return opener(config, revision, place)


_MODULES = {
    RaterBackend.vllm: "ds2.models.chat.local.vllm_engine",
    RaterBackend.openai: "ds2.models.chat.served.server",
    RaterBackend.openai_batch: "ds2.models.chat.served.batch",
    RaterBackend.transformers: "ds2.models.chat.local.transformers_model",
}

__all__ = ["Answer", "Backend", "Chat", "LlmRaterConfig", "Place", "Reading", "Request", "open_backend"]
