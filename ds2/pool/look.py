"""What a pool is made of, before anything is rated: `ds2 look`."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ds2.pool.ids import given_id
from ds2.pool.pool import Pool

_READ = 2000
"""Characters of a sample by which its language is told."""
_VALUES = 200
"""Different values of a column that are remembered."""
_ENGLISH = frozenset("the of and to is in a that it for are with as be this on you by or an".split())
_SCRIPTS = {
    "Japanese": re.compile("[\u3040-\u30ff]"),
    "Chinese": re.compile("[\u3400-\u4dbf\u4e00-\u9fff]"),
    "Korean": re.compile("[\uac00-\ud7af]"),
    "Thai": re.compile("[\u0e00-\u0e7f]"),
    "Arabic script": re.compile("[\u0600-\u06ff]"),
    "Hebrew": re.compile("[\u0590-\u05ff]"),
    "Devanagari script": re.compile("[\u0900-\u097f]"),
    "Cyrillic script": re.compile("[\u0400-\u04ff]"),
    "Greek": re.compile("[\u0370-\u03ff]"),
    "Latin": re.compile("[A-Za-z\u00c0-\u024f]"),
}
_SHARE = 0.1
"""A text is Japanese from so much kana on, whatever its kanji."""


@dataclass
class Column:
    """A column of numbers that may be scores."""

    count: int = 0
    low: float = math.inf
    high: float = -math.inf
    whole: bool = True
    values: set[float] = field(default_factory=set)
    """At most 200 of them."""

    def add(self, value: float) -> None:
        """One more value."""
        self.count += 1
        self.low, self.high = min(self.low, value), max(self.high, value)
        self.whole = self.whole and value == int(value)
        if len(self.values) <= _VALUES:
            self.values.add(value)


@dataclass
class Look:
    """Counts over a pool's samples."""

    roles: Counter[str] = field(default_factory=Counter)
    """Turns by role."""
    turns: list[int] = field(default_factory=list)
    """Turns of each sample."""
    questions: list[int] = field(default_factory=list)
    """Characters of each sample's user turns; `answers`: of its answers."""
    answers: list[int] = field(default_factory=list)
    languages: Counter[str] = field(default_factory=Counter)
    with_code: int = 0
    """Samples with a block of code (three backquotes)."""
    made_ids: int = 0
    same_text: int = 0
    """Samples whose whole text an earlier one has; `same_question`: whose user turns."""
    same_question: int = 0
    fields: Counter[str] = field(default_factory=Counter)
    """Samples that have a field beside their conversation."""
    columns: dict[str, Column] = field(default_factory=dict)
    """Path -> numbers found there."""


def look(pool: Pool) -> Look:
    """Counts over the samples, in one pass."""
    seen = Look()
    texts: set[bytes] = set()
    questions: set[bytes] = set()
    for sample in pool.samples:
        asked = "\n".join(m.text for m in sample.messages if m.role == "user")
        told = "\n".join(m.text for m in sample.messages if m.is_answer)
        seen.roles.update(m.role for m in sample.messages)
        seen.turns.append(len(sample.messages))
        seen.questions.append(len(asked))
        seen.answers.append(len(told))
        whole = "\n".join(f"{m.role}: {m.text}" for m in sample.messages)
        seen.languages[language(f"{told[:_READ]} {asked[:_READ]}"[:_READ])] += 1
        seen.with_code += "```" in whole
        seen.same_text += _again(whole, texts)
        seen.same_question += bool(asked) and _again(asked, questions)
        seen.made_ids += given_id(sample.columns.get("id")) is None
        for name, value in sample.columns.items():
            if value is not None and name != "id":
                seen.fields[name] += 1
        for path, number in _numbers(sample.columns):
            if path != "id":
                seen.columns.setdefault(path, Column()).add(number)
    found = seen.columns.items()
    seen.columns = {path: column for path, column in found if _may_be_scores(column, len(pool))}
    return seen


def _again(text: str, known: set[bytes]) -> bool:
    digest = hashlib.blake2b(text.encode(), digest_size=12).digest()
    if digest in known:
        return True
    known.add(digest)
    return False


def language(text: str) -> str:
    """What a text is written in: told by its letters, English from other Latin by its commonest words."""
    if text.isascii():
        return _latin(text)
    counts = {name: len(script.findall(text)) for name, script in _SCRIPTS.items()}
    letters = sum(counts.values())
    if not letters:
        return "no letters"
    if counts["Japanese"] > _SHARE * (counts["Japanese"] + counts["Chinese"]) > 0:
        counts["Japanese"] += counts["Chinese"]
    most = max(counts, key=lambda name: counts[name])
    return _latin(text) if most == "Latin" else most


def _latin(text: str) -> str:
    words = re.findall(r"[^\W\d_]+", text.lower())
    if not words:
        return "no letters"
    common = sum(word in _ENGLISH for word in words)
    return "English" if common >= _SHARE * len(words) else "other Latin script"


def _numbers(columns: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in columns.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name}.")
        elif _is_number(value):
            yield f"{prefix}{name}", float(value)


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) < 12 and re.fullmatch(r"\s*-?\d+(\.\d+)?\s*", value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _may_be_scores(column: Column, samples: int) -> bool:
    """Numbers of most samples, that are no numbering of them."""
    numbering = column.whole and len(column.values) > min(_VALUES, max(samples - 1, 20))
    return column.count >= samples / 2 and not numbering


def quantiles(values: Sequence[int]) -> tuple[int, int, int, int]:
    """5 %, half, 95 % and the most."""
    five, half, most = np.percentile(np.asarray(values), (5, 50, 95)).round().astype(int).tolist()
    return five, half, most, max(values)
