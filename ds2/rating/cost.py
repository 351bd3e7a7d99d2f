"""What a rating costs: prices by model, the estimate before, and the limit while it runs.

Prices are US dollars for a million tokens, from `conf/price.yaml` or `rater.runtime.price`. A model without a
price costs an unknown amount, which is said, and never counts as nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from ds2.base.errors import UserError
from ds2.base.paths import project_root
from ds2.config import ChatBackend, LlmRaterConfig, PriceConfig, RaterConfig, Reading
from ds2.models.chat import Answer, ChatRequest

_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")
"""Ending of a model's name that fixes one version of it, at the same price."""
_MILLION = 1e6
_MESSAGE = 8
"""Tokens that a chat template puts around a message."""
_KNOWN = 20
"""Answers that tell how a server counts tokens."""


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens, discounts included."""

    prompt: float
    cached: float
    """For prompt tokens that the server had in its cache."""
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
    given, table = config.runtime.price, _table()
    listed = table["models"].get(_DATED.sub("", config.model))
    if (given.input is None) != (given.output is None):
        raise UserError("give both rater.runtime.price.input and rater.runtime.price.output")
    if given.input is not None:
        price, source = given, "rater.runtime.price"
    elif listed is not None:
        price, source = PriceConfig(**listed), f"listed {table['listed']}"
    else:
        return None
    assert price.input is not None
    assert price.output is not None
    factor = price.batch if config.backend is ChatBackend.openai_batch else 1.0
    cached = price.input if price.cached_input is None else price.cached_input
    return Price(price.input * factor, cached * factor, price.output * factor, source)


def dollars_of(rater: RaterConfig, counts: Mapping[str, Any]) -> float | None:
    """What a rating cost, in US dollars, from the counts of its record; 0 for a model on this machine, None
    where no price is known, or the tokens of some answers are not: of a served model, and of scores that
    came from elsewhere.
    """
    if not isinstance(rater, LlmRaterConfig):
        return None
    price = price_of(rater)
    if price is None:
        return None if rater.backend.served else 0.0
    if counts["prompt_tokens"] is None or counts.get("answers_without_tokens"):
        return None  # a cost without what was not told is none
    return price.of(counts["prompt_tokens"], counts["completion_tokens"], counts["cached_tokens"])


def tokens_told(counts: Mapping[str, Any]) -> int | None:
    """Tokens that the model read and wrote, from the counts of a rating's record; None where some of them
    were not told.
    """
    told = [counts.get(name) for name in ("prompt_tokens", "completion_tokens")]
    if None in told or counts.get("answers_without_tokens"):
        return None
    return int(sum(filter(None, told)))


def stated_parameters(rater: LlmRaterConfig) -> int | None:
    """`rater.params_b` as a number of parameters."""
    return None if rater.params_b is None else round(rater.params_b * 1e9)


@cache
def _table() -> dict[str, Any]:
    text = (project_root() / "conf" / "price.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def limit_price(config: LlmRaterConfig) -> Price | None:
    """The price by which `rater.max_cost` is kept; None without a limit.

    Raises:
        UserError: a limit below zero, or on a model whose price is not known.
    """
    price = price_of(config)
    if config.max_cost is None:
        return None
    if config.max_cost < 0:
        raise UserError(f"rater.max_cost={config.max_cost:g} must not be negative")
    if price is None:
        raise UserError(
            f"rater.max_cost needs the price of {config.model}, which conf/price.yaml does not list; give "
            "rater.runtime.price.input and rater.runtime.price.output in dollars for a million tokens, or "
            "leave rater.max_cost out"
        )
    return price


def prompt_tokens(request: ChatRequest, count_tokens: Callable[[str], int]) -> int:
    """Tokens of a question, with those that mark its messages."""
    return sum(count_tokens(message["content"]) + _MESSAGE for message in request.chat)


def longest_answer(config: LlmRaterConfig) -> int:
    """Tokens of an answer, at most."""
    return 1 if config.reading is Reading.expected else config.max_new_tokens


@dataclass(frozen=True)
class _Hold:
    """A question as it is counted before its answer is there."""

    estimate: int
    """Tokens of its prompt, as the back end counts them."""
    dollars: float
    """The most that it is taken to cost."""


class Budget:
    """Holds back questions that could take the cost of a rating past `rater.max_cost`.

    What every answer cost counts, those of earlier runs included, and for each question in flight the most
    that it is taken to cost: its whole prompt uncached and the longest answer. A prompt is taken to have a
    token for each byte, which no tokenizer exceeds, until `_KNOWN` answers have told how a server counts;
    then its estimate, times the largest ratio of counted to estimated tokens seen so far. An answer without
    such counts costs what was held for it. Without a limit nothing is counted.

    Args:
        count_tokens: tokens of a text, as the back end counts them.
        say: tells the person one line.

    Raises:
        UserError: a limit below zero, or on a model whose price is not known.
    """

    def __init__(
        self,
        config: LlmRaterConfig,
        count_tokens: Callable[[str], int],
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._limit, self._price = config.max_cost, limit_price(config)
        self._model, self._count_tokens, self._say = config.model, count_tokens, say
        self._longest, self._ratio, self._known = longest_answer(config), 1.0, 0
        self._in_flight: dict[str, _Hold] = {}
        self._held = 0.0
        self._silent = False
        """Whether the server was seen to answer without saying what it counted."""
        self.spent = 0.0
        """US dollars."""

    @property
    def limited(self) -> bool:
        return self._limit is not None

    def allows(self, request: ChatRequest) -> bool:
        """Whether the question can be paid for whatever its answer; if so it is in flight from now on."""
        if self._limit is None:
            return True
        hold = self._hold(request)
        if self.spent + self._held + hold.dollars > self._limit:
            return False
        self._in_flight[request.key] = hold
        self._held += hold.dollars
        return True

    def settle(self, answer: Answer) -> None:
        """Count the answer to an allowed question."""
        if self._limit is not None:
            hold = self._in_flight.pop(answer.key)
            self._held -= hold.dollars
            self._count(answer, hold)

    def recall(self, request: ChatRequest, answer: Answer) -> None:
        """Count an answer of an earlier run."""
        self._count(answer, self._hold(request))

    def _hold(self, request: ChatRequest) -> _Hold:
        assert self._price is not None
        estimate = prompt_tokens(request, self._count_tokens)
        most = estimate * self._ratio
        if self._known < _KNOWN:
            most = max(most, prompt_tokens(request, lambda text: len(text.encode("utf-8", "replace"))))
        return _Hold(estimate, self._price.of(most, self._longest))

    def _count(self, answer: Answer, hold: _Hold) -> None:
        assert self._price is not None
        if answer.finish == "failed":
            return
        if answer.prompt_tokens:
            self._known += 1
            self._ratio = max(self._ratio, answer.prompt_tokens / hold.estimate)
            self._longest = max(self._longest, answer.completion_tokens)
            self.spent += self._price.of(answer.prompt_tokens, answer.completion_tokens, answer.cached_tokens)
            return
        self.spent += hold.dollars
        if not self._silent:
            self._silent = True
            self._say(
                f"{self._model} answers without a count of tokens: for rater.max_cost such an answer counts "
                "as the most that it can cost"
            )
