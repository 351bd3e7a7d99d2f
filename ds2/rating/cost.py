"""What a rating costs: prices by model, the estimate before, and the limit while it runs.

Prices are US dollars for a million tokens, from `conf/price.yaml` or `rater.runtime.price`. A model without a price costs an
unknown amount, which is said, and never counts as nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from ds2.config import LlmRaterConfig, PriceConfig, RaterBackend, Reading
from ds2.errors import UserError
from ds2.paths import project_root
from ds2.rating.backends import Answer, Request

_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")
"""Ending of a model's name that fixes one version of it, at the same price."""
_MILLION = 1e6
_MESSAGE = 8
"""Tokens that a chat template puts around a message."""


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens, discounts included."""

    prompt: float
    cached: float
    """Of prompt tokens that the server had in its cache."""
    completion: float
    source: str
    """Where the price is from, and of when."""

    def of(self, prompt_tokens: float, completion_tokens: float, cached_tokens: float = 0) -> float:
        """US dollars; `cached_tokens` are among the prompt's."""
        fresh = prompt_tokens - cached_tokens
        total = fresh * self.prompt + cached_tokens * self.cached + completion_tokens * self.completion
        return total / _MILLION


def price_of(config: LlmRaterConfig) -> Price | None:
    """The price of the rater's model, by the name with which it is asked for; None where it is not known.

    Raises:
        UserError: half a price is given.
    """
    own, table = config.runtime.price, _table()
    listed = table["models"].get(_DATED.sub("", config.model))
    if (own.input is None) != (own.output is None):
        raise UserError("give both rater.runtime.price.input and rater.runtime.price.output")
    if own.input is not None:
        price, source = own, "rater.runtime.price"
    elif listed is not None:
        price, source = PriceConfig(**listed), f"listed {table['listed']}"
    else:
        return None
    assert price.input is not None
    assert price.output is not None
    factor = price.batch if config.backend is RaterBackend.openai_batch else 1.0
    cached = price.input if price.cached_input is None else price.cached_input
    return Price(price.input * factor, cached * factor, price.output * factor, source)


@cache
def _table() -> dict[str, Any]:
    text = (project_root() / "conf" / "price.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def prompt_tokens(request: Request, count_tokens: Callable[[str], int]) -> int:
    """Tokens of a question, with those that mark its messages."""
    return sum(count_tokens(message["content"]) + _MESSAGE for message in request.chat)


def longest_answer(config: LlmRaterConfig) -> int:
    """Tokens of an answer, at most."""
    return 1 if config.reading is Reading.expected else config.max_new_tokens


class Budget:
    """Holds back questions that could take the cost of a rating past `rater.max_cost`.

    What every answer cost counts, those of earlier runs included, and for each question in flight the most that it can
    cost: its whole prompt uncached and the longest answer. Without a limit nothing is counted.

    Raises:
        UserError: a limit below zero, or on a model whose price is not known.
    """

    def __init__(self, config: LlmRaterConfig) -> None:
        self._limit, self._longest = config.max_cost, longest_answer(config)
        self._in_flight: dict[str, float] = {}
        self._held = 0.0
        self.spent = 0.0
        """US dollars."""
        price = price_of(config)
        if self._limit is None:
            return
        if self._limit < 0:
            raise UserError(f"rater.max_cost={self._limit:g} must not be negative")
        if price is None:
            raise UserError(
                f"rater.max_cost needs the price of {config.model}, which conf/price.yaml does not list; give "
                "rater.runtime.price.input and rater.runtime.price.output in dollars for a million tokens, or leave "
                "rater.max_cost out"
            )
        self._price = price

    @property
    def limited(self) -> bool:
        return self._limit is not None

    def allows(self, request: Request, count_tokens: Callable[[str], int]) -> bool:
        """Whether the question can be paid for whatever its answer; if so it is in flight from now on."""
        if self._limit is None:
            return True
        most = self._price.of(prompt_tokens(request, count_tokens), self._longest)
        if self.spent + self._held + most > self._limit:
            return False
        self._in_flight[request.key] = most
        self._held += most
        return True

    def settle(self, answer: Answer) -> None:
        """Count the answer to an allowed question."""
        if self._limit is not None:
            self._held -= self._in_flight.pop(answer.key, 0.0)
            self.spent += self.cost(answer)

    def cost(self, answer: Answer) -> float:
        """US dollars, under a limit."""
        return self._price.of(answer.prompt_tokens, answer.completion_tokens, answer.cached_tokens)
