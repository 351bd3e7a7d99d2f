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
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import Any

from ds2.config import Reading
from ds2.models.chat import Answer
from ds2.rating.prompt import CRITERIA, DIGITS, HIGHEST, LOWEST

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
    criteria: tuple[float, float, float, float] = (math.nan,) * 4
    """In the order of `CRITERIA`, the overall rating last; NaN: unknown."""
    reason: str = ""
    """Why it is anything but `parsed`."""
    distribution: tuple[float, ...] | None = None
    """P(rating = 1..9), with `reading=expected`."""

    @property
    def rating(self) -> float:
        """The overall rating; NaN where there is none."""
        return self.criteria[-1]


def read(answer: Answer, reading: Reading) -> Verdict:
    """The rating in an answer, as the table above says."""
    if answer.finish == "failed":
        return Verdict(Outcome.undelivered, reason=answer.text or "no answer")
    if answer.finish in ("refusal", "filtered"):
        words = "the model declined" if answer.finish == "refusal" else "a content filter stopped it"
        return Verdict(Outcome.refused, reason=words)
    return _read_distribution(answer) if reading is Reading.expected else _read_text(answer)


def _read_distribution(answer: Answer) -> Verdict:
    shares = answer.distribution
    if shares is None:
        return Verdict(
            Outcome.unreadable, reason=f"no digit 1..9 among the likely first tokens of {answer.text[:40]!r}"
        )
    if not shares:
        return Verdict(
            Outcome.unreadable, reason="the server gave no probabilities of the first token (logprobs)"
        )
    usable = len(shares) == len(DIGITS) and all(math.isfinite(p) and p >= 0 for p in shares)
    if not usable or not math.isclose(math.fsum(shares), 1, abs_tol=1e-3):
        return Verdict(Outcome.unreadable, reason="the probabilities are not a distribution over 1..9")
    mean = math.fsum(p * rating for rating, p in enumerate(shares, start=1)) / math.fsum(shares)
    return Verdict(Outcome.parsed, (math.nan, math.nan, math.nan, mean), distribution=shares)


def _read_text(answer: Answer) -> Verdict:
    text = answer.text.rpartition("</think>")[2]
    try:
        whole = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        whole = None
    if isinstance(whole, _Pairs) and _names_overall(whole):
        return _judge(whole, repaired="thought aloud" if "</think>" in answer.text else "")
    if "<think>" in text:
        return Verdict(Outcome.truncated, reason=THINKING)
    verdicts = [_judge(pairs, repaired=how) for pairs, how in _objects(text)]
    rated = [verdict for verdict in verdicts if verdict.outcome.rated]
    if len({verdict.rating for verdict in rated}) > 1:
        return Verdict(Outcome.unreadable, reason="several objects with different overall ratings")
    if rated:
        return rated[-1]
    if verdicts:
        return verdicts[-1]
    if isinstance(whole, _Pairs):
        return _judge(whole, repaired="")
    if (pairs := _lines(text, cut=answer.finish == "length")) is not None:
        return _judge(pairs, repaired="prose, no object")
    return _without_rating(text, cut=answer.finish == "length" or text.count("{") > text.count("}"))


def _lines(text: str, *, cut: bool) -> _Pairs | None:
    """The ratings in lines such as `Overall rating: 7`; None without an overall one.

    What stands in braces or quotes is no line: it may be the conversation's.
    """
    plain = _NEXT.sub("\n", _INNERMOST.sub(" ", text))
    items = [
        (line["key"], _plain(value.group()) if (value := _VALUE.match(line["value"])) else line["value"])
        for line in _LINE.finditer(plain)
        if not (cut and line.end() == len(plain))  # 1 of 10
    ]
    wanted = {_name(criterion) for criterion in CRITERIA} | _OVERALL
    items = [(key, value) for key, value in items if _name(key) in wanted]
    pairs = _Pairs(items)
    return pairs if _names_overall(pairs) else None


_LINE = re.compile(
    r"""^[ \t>*_\#\-•\d.)(]*(?:(?:the|my|final|so|thus|therefore),?[ ]+)*
        (?P<key>[A-Za-z][A-Za-z _-]{0,40}?)[ *_]*(?:[:=]|\bis\b|[-–—][ ])[ *_]*(?P<value>[-+]?\d[^\n]*)$""",
    re.VERBOSE | re.MULTILINE | re.IGNORECASE,
)
"""A line that gives a criterion its number; its key may be a list's entry, a heading or in bold."""
_NEXT = re.compile(r"[,;]\s+(?=[A-Za-z][A-Za-z _-]{0,40}:\s*\d)")
"""What stands between two ratings in one line."""
_VALUE = re.compile(
    r"[-+]?\d+(?:\.\d+)?(?![\w%])(?!\s*,\s*\d)(?!\s*(?:to|or|and|[-–—])\s*\d)(?!\s*(?:/|out of)\s*(?!10\b)\d)"
)


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


@dataclass(frozen=True)
class _Pairs:
    """A JSON object with its keys as they came, also those that came twice."""

    items: list[tuple[str, Any]]


_PAIR = re.compile(
    r"""["'“]?\b(?P<key>[A-Za-z][A-Za-z _-]{0,40})["'”]?\s*:\s*
        (?P<value>"[^"\n]*"|'[^'\n]*'|[-+]?[\w.]+(?:\s*/\s*\d+|\s+out\s+of\s+\d+)?)(?=\s|,|\})
        (?!\s*,?[ \t]*\d)(?!\s*(?:to|or|and|[-–])\s*\d)""",
    re.VERBOSE,
)
"""A key and its finished value: something must follow it, or `1` might be the start of a 10 that was cut
off; no further number may, as in `7,5`, `1,000` or `7 to 8`."""
_INNERMOST = re.compile(r"\{[^{}]*(?:\}|$)")
_BROKEN_DEPTH = 3
"""Levels of braces within broken JSON that are looked through."""
_STARTS = 50
"""Braces in a text at which an object is looked for."""
_WORD = re.compile(r"\w")


def _objects(text: str) -> list[tuple[_Pairs, str]]:
    """The objects in a text that name an overall rating, and how each was found.

    Strict JSON wherever a brace opens; in what is left of the text, pair by pair, which mends quotes, commas
    and a missing end. Among words an object counts only with a second criterion: alone, it may be quoted from
    the conversation.
    """
    strict, rest = _decoded(text)
    objects = [(pairs, "prose or a fence around it") for pairs in strict]

    def mend(part: re.Match[str]) -> str:
        pairs = _Pairs([(m["key"], _plain(m["value"].strip("\"'"))) for m in _PAIR.finditer(part.group())])
        if _names_overall(pairs):
            objects.append((pairs, "broken JSON"))
        return " "

    for _ in range(_BROKEN_DEPTH):
        rest = _INNERMOST.sub(mend, rest)
    if _WORD.search(re.sub(r"```\w*", "", rest)):
        return [(pairs, how) for pairs, how in objects if _criteria(pairs) > 1]
    return objects


def _decoded(text: str) -> tuple[list[_Pairs], str]:
    """The JSON objects in a text that name an overall rating, and the text without any JSON object."""
    objects: list[_Pairs] = []
    decoder = json.JSONDecoder(object_pairs_hook=_Pairs)
    rest, at = "", 0
    for brace in islice(re.finditer(r"\{", text), _STARTS):
        if brace.start() < at:
            continue
        try:
            value, end = decoder.raw_decode(text, brace.start())
        except (ValueError, RecursionError):
            continue
        objects += _within(value)
        rest, at = rest + text[at : brace.start()] + " ", end
    return objects, rest + text[at:]


def _within(value: Any) -> Iterator[_Pairs]:
    """The outermost objects in a value that name an overall rating."""
    if isinstance(value, _Pairs):
        if _names_overall(value):
            yield value
            return
        value = [item for _, item in value.items]
    if isinstance(value, list):
        for item in value:
            yield from _within(item)


_OVERALL = frozenset(
    {"overallrating", "overall", "overallscore", "score", "rating", "finalrating", "finalscore"}
)
"""Names of the overall rating; the first is what was asked for."""


def _names_overall(pairs: _Pairs) -> bool:
    return any(_name(key) in _OVERALL for key, _ in pairs.items)


def _criteria(pairs: _Pairs) -> int:
    """How many of the criteria an object names."""
    named = {_name(key) for key, _ in pairs.items}
    return len(named & {_name(criterion) for criterion in CRITERIA[:-1]}) + bool(named & _OVERALL)


def _plain(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _judge(pairs: _Pairs, *, repaired: str) -> Verdict:
    """The verdict on one object's pairs; `repaired` says what had to be mended to get them."""
    values: dict[str, list[Any]] = {}
    for key, value in pairs.items:
        values.setdefault(_name(key), []).append(value)
    mended = [repaired] if repaired else []
    overall = _name(CRITERIA[-1])
    if overall not in values:
        other = [key for key in values if key in _OVERALL]
        values[overall] = [value for key in other for value in values[key]]
        mended += [f"named {', '.join(other)}"] if other else []
    numbers = []
    for criterion in CRITERIA:
        number, note = _number(values.get(_name(criterion), []))
        if note:
            mended.append(f"{criterion}: {note}")
        numbers.append(number)
    if math.isnan(numbers[-1]):
        return Verdict(Outcome.unreadable, reason=mended[-1])
    outcome = Outcome.repaired if mended else Outcome.parsed
    return Verdict(outcome, (numbers[0], numbers[1], numbers[2], numbers[3]), reason="; ".join(mended))


def _name(key: str) -> str:
    return re.sub(r"[\W_]+", "", key).casefold()


def _number(values: list[Any]) -> tuple[float, str]:
    """The rating that a key's values give (NaN: none), and what is odd about them."""
    if not values:
        return math.nan, "missing"
    if len(values) > 1:
        numbers = {_number([value])[0] for value in values}
        return (numbers.pop(), "given twice") if len(numbers) == 1 else (math.nan, "given twice, different")
    value, note = values[0], ""
    if isinstance(value, str):
        match = _WRITTEN.fullmatch(value.strip())
        if match is None or (match["of"] and float(match["of"]) != HIGHEST):
            return math.nan, f"{value[:40]!r} is not a rating"
        value, note = float(match["number"]), "written as text"
    if isinstance(value, bool) or not isinstance(value, int | float):
        shown = "an object" if isinstance(value, _Pairs) else "a list" if isinstance(value, list) else value
        return math.nan, f"{shown} is not a number"
    if not LOWEST <= value <= HIGHEST:  # NaN too
        return math.nan, f"{str(value)[:20]} is not within {LOWEST}..{HIGHEST}"
    return float(value), note


_WRITTEN = re.compile(r"(?P<number>[-+]?\d{1,6}(?:\.\d{1,6})?)(?:\s*(?:/|out of)\s*(?P<of>\d{1,6}))?")
