"""How a language model is asked: one small interface, one file a back end.

A back end turns requests into answers and knows nothing of pools, ratings, verdicts, retries or logs: whoever
asks (`ds2.rating.by_model`, `eval.judge.run`) builds the requests, replays what the answer log holds and
reads the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from ds2.config import ChatBackend, ChatConfig

Chat = tuple[dict[str, str], ...]
"""Messages with `role` and `content`, instructions first so that their prefix is shared by all requests."""


@dataclass(frozen=True)
class AnswerForm:
    """What an answer has to be, as far as a back end can see to it; by default any text."""

    name: str = "answer"
    """For servers that want a name."""
    schema: Mapping[str, Any] | None = None
    """JSON schema that the answer is held to, where the back end can."""
    tokens: str = ""
    """Characters, of which the answer is one: nothing is sampled, the probabilities of these tokens are
    read."""
    option: str = ""
    """The option that asks for this form, and"""
    otherwise: str = ""
    """what to do where a model cannot give it: for messages."""


@dataclass(frozen=True)
class ChatRequest:
    """One question to the model."""

    key: str
    """Hash of everything that decides the answer (prompt, model, sampling, repeat, try): names it in the
    answer log."""
    chat: Chat
    seed: int | None = None
    """For back ends that can seed each request; otherwise ignored."""


@dataclass(frozen=True)
class Answer:
    """What came back, as it came; what it means is for whoever asked."""

    key: str
    text: str
    finish: str = "stop"
    """`stop`; `length` (cut at max_new_tokens); `refusal`; `filtered`; `failed` (no answer after the back
    end's own attempts at delivery: `text` then says why). Only `failed` answers are not kept in the log."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Tokens of the prompt that the server took from its prefix cache."""
    completion_tokens: int = 0
    distribution: tuple[float, ...] | None = None
    """Probabilities of `AnswerForm.tokens`, summing to 1; None where the first token is hardly ever one of
    these (and where they were not asked for), () where the server gave no probabilities."""
    model: str = ""
    """The model as the server names it in its answer."""
    final: bool = False
    """A `failed` answer that stays so: the server refuses this question, and would again."""
    changes: tuple[str, ...] = ()
    """What the server did not take and was asked without or otherwise, in words: `without temperature`."""


class Backend(Protocol):
    """An open connection to a model, or the model itself."""

    def answers(self, requests: Iterable[ChatRequest]) -> Iterator[Answer]:
        """An answer for each request, in whatever order they come; requests are drawn as they can be sent, so
        memory does not grow with their number.

        Raises:
            UserError: nothing can be had at all (no such model, wrong key, server down for good): once, not
                per request.
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
    keep: Callable[[Answer], None] = lambda answer: None
    """Keeps an answer that was paid for, before it or one that came with it is handed on: at any of them
    whoever asks may stop."""
    missed: Callable[[str], None] = lambda reason: None
    """Hears of each delivery that failed, and why."""


Opener = Callable[[ChatConfig, AnswerForm, str | None, Place], AbstractContextManager[Backend]]
"""`open(config, form, revision, place)` of a back end's module; `revision` is the resolved commit of a hub
model."""


def open_backend(
    config: ChatConfig, form: AnswerForm, revision: str | None, place: Place
) -> AbstractContextManager[Backend]:
    """The configured back end, started; its module and libraries are imported only here.

    Raises:
        UserError: the model or server cannot be used.
        ModuleNotFoundError: the back end's extra is not installed.
    """
    opener: Opener = import_module(_MODULES[config.backend.here]).open
    return opener(config, form, revision, place)


_MODULES = {
    ChatBackend.vllm: "ds2.models.chat.local.vllm_engine",
    ChatBackend.openai: "ds2.models.chat.served.server",
    ChatBackend.openai_batch: "ds2.models.chat.served.batch",
    ChatBackend.transformers: "ds2.models.chat.local.transformers_model",
}

__all__ = ["Answer", "AnswerForm", "Backend", "Chat", "ChatRequest", "Place", "open_backend"]
