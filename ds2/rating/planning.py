"""What a rating would take, before anything is asked: questions, tokens, price and time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ds2.base.words import duration, quantity
from ds2.config import ChatBackend, CurationMethod, LlmRaterConfig, Reading
from ds2.models.chat import Answer, ChatRequest
from ds2.models.chat.answer_log import FILE, AnswerLog
from ds2.models.chat.local.tokenizer import model_path
from ds2.models.chat.served.batch_state import folder_of, sent
from ds2.models.chat.tokens import estimate_tokens
from ds2.models.pretrained import load_tokens
from ds2.pool import Pool
from ds2.rating.cost import Price, limit_price, longest_answer, price_of, prompt_tokens
from ds2.rating.questions import RatingQuestions
from ds2.rating.rated_share import in_words
from ds2.rating.rubric import Rubric

_COUNTED = 200
"""Conversations whose tokens are counted, drawn at random, to stand for all."""
_LATENCY = 2.0
"""Assumed seconds for one answer of a server."""


@dataclass(frozen=True)
class Forecast:
    """What is left to ask of a rater."""

    wanted: int
    """Ratings, over repeats."""
    answered: int
    """Answers that the log holds already."""
    questions: int
    """To be sent now; further tries after unreadable answers come on top."""
    waiting: int
    """Questions that are in batches at the server: paid for there."""
    tokens_in: float
    tokens_out: float
    tokens_out_at_most: float
    counted_by: str
    price: Price | None

    @property
    def dollars(self) -> tuple[float, float] | None:
        """Expected, and at most; None where the price is not known."""
        if self.price is None:
            return None
        return (
            self.price.of(self.tokens_in, self.tokens_out),
            self.price.of(self.tokens_in, self.tokens_out_at_most),
        )


def forecast(
    config: LlmRaterConfig, pool: Pool, *, model: Mapping[str, Any], revision: str | None, folder: Path
) -> Forecast:
    """Count what the answer log lacks; tokens on a random sample of it. Arguments as in `by_model.rate`.

    Raises:
        UserError: a limit on costs that the rating itself would refuse.
    """
    limit_price(config)
    count_tokens, counted_by = _counter(config, revision)
    questions = RatingQuestions(config, pool, model, count_tokens)
    wanted = len(questions.first())
    tally = _Tally(sent(folder_of(config, folder)) if config.backend is ChatBackend.openai_batch else set())
    drawn = heapq.nsmallest(_COUNTED, tally.requests(questions, folder), key=lambda request: request.key)
    n = tally.open
    mean = sum(prompt_tokens(request, count_tokens) for request in drawn) / max(len(drawn), 1)
    longest = longest_answer(config)
    typical = min(
        count_tokens(_typical(questions.rubric)) if config.reading is Reading.answer else 1, longest
    )
    return Forecast(
        wanted, tally.answered, n, tally.waiting, n * mean, float(n * typical), float(n * longest),
        counted_by, price_of(config),
    )  # fmt: skip


def _typical(rubric: Rubric) -> str:
    """An answer in full."""
    return "{" + ", ".join(f'"{name}": 5' for name in rubric.keys) + "}"


class _Tally:
    """Counts questions by whether the log answers them or a batch holds them, while they pass."""

    def __init__(self, sent: set[str]) -> None:
        self._sent = sent
        self.answered = self.waiting = self.open = 0

    def requests(self, questions: RatingQuestions, folder: Path) -> Iterator[ChatRequest]:
        if not (folder / FILE).exists():  # a plan leaves nothing behind, a log neither
            yield from self._count(questions.history(None, questions.first()))
            return
        with AnswerLog(folder) as log:
            yield from self._count(questions.history(log, questions.first()))

    def _count(self, history: Iterator[tuple[ChatRequest, Answer | None]]) -> Iterator[ChatRequest]:
        for request, answer in history:
            if answer is not None:
                self.answered += 1
            elif request.key in self._sent:
                self.waiting += 1
            else:
                self.open += 1
                yield request


def lines(config: LlmRaterConfig, pool_size: int, left: Forecast, curation: CurationMethod) -> list[str]:
    """The forecast in words, with a word on samples that will have no score."""
    share = f" in a share of {config.sample:g} of {pool_size:,}" if config.sample < 1 else ""
    times = f", {config.repeats} of each sample" if config.repeats > 1 else ""
    waiting = f"{left.waiting:,} questions wait in batches at the server, " if left.waiting else ""
    said = [
        f"{left.wanted:,} ratings by {config.model}{share}{times}: {left.answered:,} answers are in the log, "
        f"{waiting}{left.questions:,} questions to ask (and again where an answer cannot be read)"
    ]
    if config.batches > 1:
        stop = "" if config.stop_when is None else f", at most: rater.stop_when={config.stop_when:g}"
        said.append(
            f"in {config.batches} batches{stop}; which samples the later ones are of is known only then: the "
            "log may answer others than were counted here"
        )
    if config.sample < 1:
        said.append(_of_the_others(curation))
    if not left.questions:
        return [*said, in_words(None)]
    each_in, each_out = left.tokens_in / left.questions, left.tokens_out / left.questions
    said.append(
        f"tokens: {quantity(left.tokens_in)} in ({each_in:,.0f} a question, {left.counted_by}), "
        f"{quantity(left.tokens_out)} out ({each_out:,.0f} an answer; at most "
        f"{quantity(left.tokens_out_at_most)})"
    )
    whole = None
    if left.dollars is not None:
        whole = left.dollars[0] / left.questions * pool_size * config.repeats
    return [*said, f"price: {_price(config, left)}", f"time: {_time(config, left)}", in_words(whole)]


def _of_the_others(curation: CurationMethod) -> str:
    """What becomes of the samples that are not rated."""
    if curation is CurationMethod.refine:
        return "the other samples are ordered by a student of the rater, which learns from the rated ones"
    if curation is CurationMethod.posterior:
        return (
            "the other samples get a score from their neighbours; curation=refine orders them by a student "
            "of the rater, which people's ratings prefer (docs/truth.md)"
        )
    return (
        f"the other samples get no score from curation={curation.value} and no selection by score can choose "
        "them; curation=refine orders them by a student of the rater"
    )


def together(left: Mapping[str, Forecast], others: Sequence[str], limit: float | None) -> str:
    """A panel's raters in one line: what is left to ask, and what that costs.

    Args:
        left: served rater -> its forecast; of those that are not rated yet.
        others: raters whose ratings cost no tokens at a server, or are there already.
        limit: `rater.max_cost` of the panel.
    """
    priced = [f.dollars for f in left.values() if f.dollars is not None]
    unknown = [name for name, f in left.items() if f.dollars is None]
    parts = [f"{sum(f.questions for f in left.values()):,} questions to ask of {len(left)} served raters"]
    if priced:
        parts.append(f"about ${sum(d[0] for d in priced):,.2f}, at most ${sum(d[1] for d in priced):,.2f}")
    if unknown:
        parts.append(f"the price of {', '.join(unknown)} is not known")
    if others:
        parts.append(f"nothing to pay for {', '.join(others)}")
    if limit is not None:
        parts.append(f"rater.max_cost={limit:g}")
    return "together: " + "; ".join(parts)


def _price(config: LlmRaterConfig, left: Forecast) -> str:
    if left.price is None or left.dollars is None:
        if not config.backend.served:
            return "none, the model runs on this machine"
        return (
            f"not known: conf/price.yaml does not list {config.model}; rater.runtime.price.input and "
            "rater.runtime.price.output give it"
        )
    expected, most = left.dollars
    batch = ", by the Batch API" if config.backend is ChatBackend.openai_batch else ""
    limit = f"; rater.max_cost={config.max_cost:g}" if config.max_cost is not None else ""
    return (
        f"about ${expected:,.2f}, at most ${most:,.2f} ({left.price.source}{batch}: ${left.price.prompt:g} "
        f"in, ${left.price.completion:g} out a million tokens, none of them cached{limit})"
    )


def _time(config: LlmRaterConfig, left: Forecast) -> str:
    runtime = config.runtime
    if config.backend is ChatBackend.openai_batch:
        return "at most a day for each round of batches, as the API promises"
    if not config.backend.served:
        return "not known, it depends on the device"
    tokens = left.tokens_in + left.tokens_out
    paces = {
        "rater.runtime.requests_per_minute": (left.questions, runtime.requests_per_minute),
        "rater.runtime.tokens_per_minute": (tokens, runtime.tokens_per_minute),
    }
    minutes = {name: amount / pace for name, (amount, pace) in paces.items() if pace}
    minutes[f"{runtime.concurrency} in flight, assuming {_LATENCY:g} s an answer"] = (
        left.questions / runtime.concurrency * _LATENCY / 60
    )
    slowest = max(minutes, key=minutes.__getitem__)
    return f"about {duration(60 * minutes[slowest])} ({slowest})"


def _counter(config: LlmRaterConfig, revision: str | None) -> tuple[Callable[[str], int], str]:
    """A counter of tokens without starting the back end, and how it counts."""
    if not config.backend.served:
        try:
            tokenizer = load_tokens(model_path(config), revision, local_files_only=True)
        except (ImportError, OSError, ValueError):
            pass  # said by the estimate's name
        else:
            return lambda text: len(
                tokenizer.encode(text, add_special_tokens=False)
            ), "counted by its tokenizer"
    return estimate_tokens, "estimated from characters, on the high side"
