"""What a rater's model can do, found by asking it twice: for a written answer, and for probabilities."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ds2.base.errors import UserError
from ds2.base.words import duration
from ds2.config import LlmRaterConfig, Reading, ScaleConfig
from ds2.models.chat import Answer, Place, open_backend
from ds2.pool import Message, Pool, Sample
from ds2.rating import prompt
from ds2.rating.by_model import check
from ds2.rating.cost import price_of
from ds2.rating.parse import Verdict
from ds2.rating.questions import Ask, RatingQuestions
from ds2.rating.rubric import rubric_of

_CONVERSATION = (
    Message("user", "Why is the sky blue?"),
    Message(
        "assistant",
        "Air scatters short waves of sunlight more than long ones, so blue reaches us from all sides.",
    ),
)
_ROWS = 1_000


@dataclass(frozen=True)
class Probe:
    """One question and what came of it."""

    reading: Reading
    answer: Answer | None
    """None: the model cannot be asked so."""
    verdict: Verdict | None
    why: str
    """Why there is no rating; empty where there is one."""
    seconds: float


def probe(
    config: LlmRaterConfig, scale: ScaleConfig, *, model: Mapping[str, Any], revision: str | None,
    folder: Path, say: Callable[[str], None],
) -> list[Probe]:  # fmt: skip
    """Ask for a rating of one short conversation in each way of reading; arguments as in `by_model.rate`.

    Raises:
        UserError: the model cannot be asked at all.
    """
    pool = Pool([Sample("probe", 0, "probe", _CONVERSATION, {})], 1)
    probes: list[Probe] = []
    for reading in Reading:
        asked = replace(config, reading=reading)
        try:
            check(asked, scale)
            probes.append(_ask(asked, pool, model, revision, Place(folder, say)))
        except UserError as error:
            if reading is Reading.answer:
                raise
            probes.append(Probe(reading, None, None, str(error), 0.0))
    return probes


def _ask(
    config: LlmRaterConfig, pool: Pool, model: Mapping[str, Any], revision: str | None, place: Place
) -> Probe:
    with open_backend(
        config, prompt.answer_form(config.reading, rubric_of(config.prompt)), revision, place
    ) as backend:
        questions = RatingQuestions(config, pool, model, backend.count_tokens)
        request, _ = questions.request(Ask(0, 0, 0))
        begun = time.monotonic()
        (answer,) = backend.answers([request])
        seconds = time.monotonic() - begun
    verdict = questions.read(answer)
    why = "" if verdict.outcome.rated else f"{verdict.outcome.value}: {verdict.reason}"
    return Probe(config.reading, answer, verdict, why, seconds)


def lines(config: LlmRaterConfig, probes: list[Probe]) -> list[str]:
    """The probes in words, with what they cost."""
    said = []
    for one in probes:
        said.append(f"rater.reading={one.reading.value}: {_result(one)}")
    answers = [one.answer for one in probes if one.answer is not None and one.answer.finish != "failed"]
    for answer in answers[:1]:
        named = f", which calls itself {answer.model}" if answer.model not in ("", config.model) else ""
        said.insert(0, f"model: {config.model}{named}; backend: {config.backend.here.value}")
    changes = dict.fromkeys(change for answer in answers for change in answer.changes)
    if config.backend.served:
        said.append(f"asked otherwise than usual: {', '.join(changes) or 'nothing, all options are taken'}")
    return [*said, f"cost: {_cost(config, answers)}"]


def _result(one: Probe) -> str:
    if one.answer is None or one.verdict is None or one.why:
        text = f"; it said {one.answer.text[:80]!r}" if one.answer and one.answer.text not in one.why else ""
        return f"no rating ({one.why}){text}"
    answer, how = one.answer, one.verdict.outcome.value
    note = f" ({one.verdict.reason})" if one.verdict.reason else ""
    counted = (
        f"{answer.prompt_tokens:,} tokens in, {answer.completion_tokens:,} out"
        if answer.prompt_tokens else "no count of tokens"
    )  # fmt: skip
    return f"works: {how}{note}, rating {one.verdict.rating:g}; {counted}, {duration(one.seconds)}"


def _cost(config: LlmRaterConfig, answers: list[Answer]) -> str:
    if not config.backend.served:
        return "none, the model runs on this machine"
    price = price_of(config)
    if price is None:
        return (
            f"not known: conf/price.yaml does not list {config.model}; rater.runtime.price.input and "
            "rater.runtime.price.output give it"
        )
    dollars = [price.of(a.prompt_tokens, a.completion_tokens, a.cached_tokens) for a in answers]
    each = dollars[0] if dollars else 0.0
    return (
        f"${sum(dollars):.6f} for these questions; about ${_ROWS * each:,.2f} for {_ROWS:,} rows as short as "
        f"this one ({price.source}); plan=true counts your own"
    )
