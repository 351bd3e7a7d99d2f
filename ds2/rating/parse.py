"""From what a model wrote to a rating, or to the reason why there is none.

Only the overall rating decides; a criterion that is absent or unusable is kept as unknown, so that a usable
answer is never asked, nor paid for, twice. What an answer becomes:

| answer                                                                   | outcome    | rating            |
|--------------------------------------------------------------------------|------------|-------------------|
| one JSON object, four numbers 1..10; extra keys; keys in any case, with   | parsed     | as written        |
| spaces, hyphens or underscores                                           |            |                   |
| 7.5, 7.0                                                                 | parsed     | as written        |
| in a code fence or in prose, after `</think>`, inside another object;     | repaired   | as written        |
| single quotes, a comma too many; cut off after the overall rating;        |            |                   |
| several objects that agree; any of these with objects or braces inside    |            |                   |
| "7", "8/10", "8 out of 10"                                               | repaired   | 7, 8, 8           |
| in lines of prose or YAML, once or always the same (`Overall rating: 7`) | repaired   | 7                 |
| the overall rating named `overall`, `score` or the like                  | repaired   | as written        |
| another criterion missing, or not a number 1..10                         | repaired   | as written        |
| overall rating twice, equal                                              | repaired   | as written        |
| overall rating twice, different; several objects that disagree            | unreadable |                   |
| overall rating missing, null, true, NaN, a word, "8/5", below 1, above 10 | unreadable |                   |
| `7,5`, `7 to 8`, `7-8`, `1,000`                                          | unreadable |                   |
| no object, or empty; in prose, an object with one criterion (a quotation) | unreadable |                   |
| cut off before or within the overall rating, or before `</think>`        | truncated  |                   |
| no rating, and the model declines in words or the server says so          | refused    |                   |
| not delivered by the server                                              | undelivered|                   |

Under `reading=expected` an answer is its distribution over the digits 1..9 and the rating its mean.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ds2.config import Reading
from ds2.models.chat import Answer
from ds2.rating.pairs import Pairs, lines, names_overall, objects, overall_names, plain_name
from ds2.rating.rubric import PAPER, Rubric

THINKING = "cut off while it was thinking"
"""The reason of an answer that never came to its end."""


class Outcome(Enum):
    """What became of an answer."""

    parsed = "parsed"
    repaired = "repaired"
    refused = "refused"
    truncated = "truncated"
    unreadable = "unreadable"
    undelivered = "undelivered"

    @property
    def rated(self) -> bool:
        return self in (Outcome.parsed, Outcome.repaired)


@dataclass(frozen=True)
class Verdict:
    """An answer, read."""

    outcome: Outcome
    criteria: tuple[float, ...] = (math.nan,) * 4
    """In the order of the rubric's, the overall rating last; NaN: unknown."""
    reason: str = ""
    """Why it is anything but `parsed`."""
    distribution: tuple[float, ...] | None = None
    """P(rating = 1..9), with `reading=expected`."""

    @property
    def rating(self) -> float:
        """The overall rating; NaN where there is none."""
        return self.criteria[-1]


def read(answer: Answer, reading: Reading, rubric: Rubric = PAPER) -> Verdict:
    """The rating in an answer, as the table above says."""
    if answer.finish == "failed":
        return Verdict(Outcome.undelivered, reason=answer.text or "no answer")
    if answer.finish in ("refusal", "filtered"):
        words = "the model declined" if answer.finish == "refusal" else "a content filter stopped it"
        return Verdict(Outcome.refused, reason=words)
    return _read_distribution(answer, rubric) if reading is Reading.expected else _read_text(answer, rubric)


def _read_distribution(answer: Answer, rubric: Rubric) -> Verdict:
    shares, digits = answer.distribution, rubric.digits
    span = f"{digits[0]}..{digits[-1]}"
    if shares is None:
        return Verdict(
            Outcome.unreadable,
            reason=f"no digit {span} among the likely first tokens of {answer.text[:40]!r}",
        )
    if not shares:
        return Verdict(
            Outcome.unreadable, reason="the server gave no probabilities of the first token (logprobs)"
        )
    usable = len(shares) == len(digits) and all(math.isfinite(p) and p >= 0 for p in shares)
    if not usable or not math.isclose(math.fsum(shares), 1, abs_tol=1e-3):
        return Verdict(Outcome.unreadable, reason=f"the probabilities are not a distribution over {span}")
    mean = math.fsum(p * rating for rating, p in enumerate(shares, start=rubric.low)) / math.fsum(shares)
    return Verdict(Outcome.parsed, (*[math.nan] * (len(rubric.keys) - 1), mean), distribution=shares)


def _read_text(answer: Answer, rubric: Rubric) -> Verdict:
    text = answer.text.rpartition("</think>")[2]
    try:
        whole = json.loads(text, object_pairs_hook=Pairs)
    except (ValueError, RecursionError):
        whole = None
    if isinstance(whole, Pairs) and names_overall(whole, rubric):
        return _judge(whole, rubric, repaired="thought aloud" if "</think>" in answer.text else "")
    if "<think>" in text:
        return Verdict(Outcome.truncated, reason=THINKING)
    verdicts = [_judge(pairs, rubric, repaired=how) for pairs, how in objects(text, rubric)]
    rated = [verdict for verdict in verdicts if verdict.outcome.rated]
    if len({verdict.rating for verdict in rated}) > 1:
        return Verdict(Outcome.unreadable, reason="several objects with different overall ratings")
    if rated:
        return rated[-1]
    if verdicts:
        return verdicts[-1]
    if isinstance(whole, Pairs):
        return _judge(whole, rubric, repaired="")
    if (pairs := lines(text, rubric, cut=answer.finish == "length")) is not None:
        return _judge(pairs, rubric, repaired="prose, no object")
    return _without_rating(text, cut=answer.finish == "length" or text.count("{") > text.count("}"))


def _without_rating(text: str, *, cut: bool) -> Verdict:
    if not text.strip():
        return Verdict(Outcome.unreadable, reason="empty")
    if _DECLINES.search(text[:300]):
        return Verdict(Outcome.refused, reason="the model declined")
    if cut:
        return Verdict(Outcome.truncated, reason="cut off before the overall rating")
    return Verdict(Outcome.unreadable, reason="no JSON object with an overall rating")


_DECLINES = re.compile(
    r"\b(?:I(?:['’]m| am) (?:really |very |so )?(?:sorry|unable|not able)"
    r"|I (?:can(?:no|['’])t|cannot|won['’]t|will not|must decline)"
    r"|as an AI\b|I apologi[sz]e)",
    re.IGNORECASE,
)  # fmt: skip


def _judge(pairs: Pairs, rubric: Rubric, *, repaired: str) -> Verdict:
    """The verdict on one object's pairs; `repaired` says what had to be mended to get them."""
    values: dict[str, list[Any]] = {}
    for key, value in pairs.items:
        values.setdefault(plain_name(key), []).append(value)
    mended = [repaired] if repaired else []
    overall = plain_name(rubric.keys[-1])
    if overall not in values:
        other = [key for key in values if key in overall_names(rubric)]
        values[overall] = [value for key in other for value in values[key]]
        mended += [f"named {', '.join(other)}"] if other else []
    numbers = []
    for criterion in rubric.keys:
        number, note = _number(values.get(plain_name(criterion), []), rubric)
        if note:
            mended.append(f"{criterion}: {note}")
        numbers.append(number)
    if math.isnan(numbers[-1]):
        return Verdict(Outcome.unreadable, reason=mended[-1])
    outcome = Outcome.repaired if mended else Outcome.parsed
    return Verdict(outcome, tuple(numbers), reason="; ".join(mended))


def _number(values: list[Any], rubric: Rubric) -> tuple[float, str]:
    """The rating that a key's values give (NaN: none), and what is odd about them."""
    if not values:
        return math.nan, "missing"
    if len(values) > 1:
        numbers = {_number([value], rubric)[0] for value in values}
        return (numbers.pop(), "given twice") if len(numbers) == 1 else (math.nan, "given twice, different")
    value, note = values[0], ""
    if isinstance(value, str):
        match = _WRITTEN.fullmatch(value.strip())
        if match is None or (match["of"] and float(match["of"]) != rubric.high):
            return math.nan, f"{value[:40]!r} is not a rating"
        value, note = float(match["number"]), "written as text"
    if isinstance(value, bool) or not isinstance(value, int | float):
        shown = "an object" if isinstance(value, Pairs) else "a list" if isinstance(value, list) else value
        return math.nan, f"{shown} is not a number"
    if not rubric.low <= value <= rubric.high:  # NaN too
        return math.nan, f"{str(value)[:20]} is not within {rubric.low}..{rubric.high}"
    return float(value), note


_WRITTEN = re.compile(r"(?P<number>[-+]?\d{1,6}(?:\.\d{1,6})?)(?:\s*(?:/|out of)\s*(?P<of>\d{1,6}))?")
