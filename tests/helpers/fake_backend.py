"""A back end in memory: what it says is a function of the request, and it counts what it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from ds2.config import ChatBackend, LlmRaterConfig
from ds2.models.chat import Answer, ChatRequest
from ds2.pool import Message, Pool, Sample
from ds2.rating import by_model

GOOD = '{"rarity": 3, "complexity": 4, "informativeness": 5, "overall_rating": 6}'


def rating(overall: object) -> str:
    return GOOD.replace("6", str(overall))


class FakeBackend:
    """Answers each request with `say(request, times)`: times the key was asked, from 0."""

    def __init__(self, say: Callable[[ChatRequest, int], Answer | str]) -> None:
        self.say, self.asked = say, []

    def answers(self, requests: Iterable[ChatRequest]) -> Iterator[Answer]:
        for request in requests:
            said = self.say(request, self.asked.count(request.key))
            self.asked.append(request.key)
            yield (
                Answer(request.key, said, prompt_tokens=100, cached_tokens=40, completion_tokens=20)
                if isinstance(said, str)
                else replace(said, key=request.key)
            )

    def count_tokens(self, text: str) -> int:
        return len(text) // 4

    def install(self, monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
        """Use this back end for every rating."""

        @contextmanager
        def opened(config, form, revision, place):
            yield self

        monkeypatch.setattr(by_model, "open_backend", opened)
        return self


def llm(**options) -> LlmRaterConfig:
    return LlmRaterConfig(
        **{"name": "r", "backend": ChatBackend.openai, "model": "m", "retries": 2, **options}
    )


def pool_of(texts: list[str], sources: list[str] | None = None) -> Pool:
    samples = [
        Sample(
            f"p{i}",
            i,
            (sources or ["s"] * len(texts))[i],
            (Message("user", text), Message("assistant", "a")),
            {},
        )
        for i, text in enumerate(texts)
    ]
    return Pool(samples, len(samples))
