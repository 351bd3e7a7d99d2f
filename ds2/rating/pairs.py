"""Names and values in what a model wrote: JSON objects, broken ones, lines of prose.

Nothing here knows what a rating is but for its names and which of them counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ds2.rating.rubric import Rubric


@dataclass(frozen=True)
class Pairs:
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


def objects(text: str, rubric: Rubric) -> list[tuple[Pairs, str]]:
    """The objects in a text that name an overall rating, and how each was found.

    Strict JSON wherever a brace opens; in what is left of the text, pair by pair, which mends quotes, commas
    and a missing end. Among words an object counts only with a second criterion: alone, it may be quoted from
    the conversation.
    """
    strict, rest = _decoded(text, rubric)
    found = [(pairs, "prose or a fence around it") for pairs in strict]

    def mend(part: re.Match[str]) -> str:
        pairs = Pairs([(m["key"], _plain(m["value"].strip("\"'"))) for m in _PAIR.finditer(part.group())])
        if names_overall(pairs, rubric):
            found.append((pairs, "broken JSON"))
        return " "

    for _ in range(_BROKEN_DEPTH):
        rest = _INNERMOST.sub(mend, rest)
    if _WORD.search(re.sub(r"```\w*", "", rest)):
        return [(pairs, how) for pairs, how in found if _criteria(pairs, rubric) > 1]
    return found


def _decoded(text: str, rubric: Rubric) -> tuple[list[Pairs], str]:
    """The JSON objects in a text that name an overall rating, and the text without any JSON object."""
    objects: list[Pairs] = []
    decoder = json.JSONDecoder(object_pairs_hook=Pairs)
    rest, at = "", 0
    for brace in islice(re.finditer(r"\{", text), _STARTS):
        if brace.start() < at:
            continue
        try:
            value, end = decoder.raw_decode(text, brace.start())
        except (ValueError, RecursionError):
            continue
        objects += _within(value, rubric)
        rest, at = rest + text[at : brace.start()] + " ", end
    return objects, rest + text[at:]


def _within(value: Any, rubric: Rubric) -> Iterator[Pairs]:
    """The outermost objects in a value that name an overall rating."""
    if isinstance(value, Pairs):
        if names_overall(value, rubric):
            yield value
            return
        value = [item for _, item in value.items]
    if isinstance(value, list):
        for item in value:
            yield from _within(item, rubric)


_OVERALL = frozenset(
    {"overallrating", "overall", "overallscore", "score", "rating", "finalrating", "finalscore"}
)
"""Names that models give the overall rating, beside that which was asked for."""


def overall_names(rubric: Rubric) -> frozenset[str]:
    """All names that mean the overall rating, and no other criterion."""
    return (_OVERALL | {plain_name(rubric.keys[-1])}) - {plain_name(key) for key in rubric.keys[:-1]}


def names_overall(pairs: Pairs, rubric: Rubric) -> bool:
    wanted = overall_names(rubric)
    return any(plain_name(key) in wanted for key, _ in pairs.items)


def _criteria(pairs: Pairs, rubric: Rubric) -> int:
    """How many of the criteria an object names."""
    named = {plain_name(key) for key, _ in pairs.items}
    return len(named & {plain_name(criterion) for criterion in rubric.keys[:-1]}) + bool(
        named & overall_names(rubric)
    )


def _plain(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def lines(text: str, rubric: Rubric, *, cut: bool) -> Pairs | None:
    """The ratings in lines such as `Overall rating: 7`; None without an overall one.

    What stands in braces or quotes is no line: it may be the conversation's.
    """
    plain = _NEXT.sub("\n", _INNERMOST.sub(" ", text))
    items = [
        (line["key"], _plain(value.group()) if (value := _VALUE.match(line["value"])) else line["value"])
        for line in _LINE.finditer(plain)
        if not (cut and line.end() == len(plain))  # 1 of 10
    ]
    wanted = {plain_name(criterion) for criterion in rubric.keys} | overall_names(rubric)
    items = [(key, value) for key, value in items if plain_name(key) in wanted]
    pairs = Pairs(items)
    return pairs if names_overall(pairs, rubric) else None


_LINE = re.compile(
    r"""^[ \t>*_\#\-•\d.)(]*(?:(?:the|my|final|so|thus|therefore),?[ ]+)*
        (?P<key>[A-Za-z][A-Za-z _-]{0,40}?)[ *_]*(?:[:=]|\bis\b|[-–—][ ])[ *_]*(?P<value>[-+]?\d[^\n]*)$""",
    re.VERBOSE | re.MULTILINE | re.IGNORECASE,
)
"""A line that gives a criterion its number; its key may be a list's entry, a heading or in bold."""
_NEXT = re.compile(r"[,;]\s+(?=[A-Za-z][A-Za-z _-]{0,40}:\s*\d)")
"""What stands between two ratings in one line."""
_VALUE = re.compile(
    r"""[-+]?\d+(?:\.\d+)?(?![\w%])(?:\s*(?:/|out[ ]of)\s*\d+)?
        (?!\s*,\s*\d)(?!\s*(?:to|or|and|[-–—])\s*\d)(?!\s*(?:/|out[ ]of))""",
    re.VERBOSE,
)


def plain_name(key: str) -> str:
    return re.sub(r"[\W_]+", "", key).casefold()
