"""What a rating is: its criteria, its scale, and examples. The paper's, or a person's own from a file.

task: You assess answers of a help desk.            # optional: the first sentence of the question
criteria:                                           # in order; the last one is the rating that counts
  tone: How friendly and clear the answers are.
  correctness: How right and complete they are.
  overall: How good an example the conversation is, the two taken together.
scale: [1, 5]                                       # optional: the lowest and the highest rating
examples:                                           # optional
  - messages: [{role: user, content: "Where is my parcel?"}, {role: assistant, content: No idea.}]
    ratings: {tone: 1, correctness: 1, overall: 1}
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ds2.base.errors import UserError
from ds2.base.hashes import canonical_json
from ds2.base.yaml_files import check_yaml

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_TAKEN = frozenset({"id", "row", "source", "score", "rating", "outcome"})
"""Columns of the table of ratings, which no criterion but the last may be called."""
_FIELDS = frozenset({"task", "criteria", "scale", "examples"})
_MOST = 100
"""The highest rating of a scale."""
_DIGIT = 9
"""The highest rating that is one token in every tokenizer."""


@dataclass(frozen=True)
class Example:
    """A conversation, rendered as a pool renders it, and its ratings by criterion."""

    conversation: str
    ratings: Mapping[str, int]


@dataclass(frozen=True)
class Rubric:
    """Criteria and scale of a rating."""

    criteria: Mapping[str, str] = field(
        default_factory=lambda: dict.fromkeys(
            ("rarity", "complexity", "informativeness", "overall_rating"), ""
        )
    )
    """Key of an answer -> what it means; the last one is what counts."""
    low: int = 1
    high: int = 10
    task: str = ""
    examples: tuple[Example, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self.criteria)

    @property
    def digits(self) -> str:
        """Ratings under `reading=expected`: one token each in every tokenizer; scores that end at 9 lose
        nothing.
        """
        return "".join(str(rating) for rating in range(self.low, min(self.high, _DIGIT) + 1))

    @property
    def digest(self) -> str:
        """Names it in identities: equal for files that say the same."""
        examples = [[one.conversation, dict(one.ratings)] for one in self.examples]
        whole = [self.task, list(self.criteria.items()), self.low, self.high, examples]
        return hashlib.sha256(canonical_json(whole)).hexdigest()[:16]


PAPER = Rubric()
"""The paper's four criteria; `ds2.rating.prompt` has its words."""


def rubric_of(path: str | None) -> Rubric:
    """The rubric in a file (`rater.prompt`); the paper's where there is none.

    Raises:
        UserError: naming the file and what to mend in it.
    """
    if path is None:
        return PAPER
    try:
        stamp = Path(path).stat().st_mtime_ns
        check_yaml(Path(path), f"rater.prompt={path}")
    except OSError as error:
        raise UserError(f"rater.prompt={path} cannot be read: {error.strerror}") from error
    return _read(path, stamp)


@cache
def _read(path: str, stamp: int) -> Rubric:
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        return _rubric(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"rater.prompt={path} is no YAML: {' '.join(str(error).split())[:200]}") from error
    except ValueError as error:
        raise UserError(f"rater.prompt={path}: {error}") from error


def _rubric(content: Any) -> Rubric:
    """Raises ValueError: what is wrong, in words."""
    if not isinstance(content, dict):
        raise ValueError("give task, criteria, scale and examples; only criteria are needed")
    if unknown := [str(name) for name in content if name not in _FIELDS]:
        raise ValueError(f"{unknown[0]} is no part of it; there are: {', '.join(sorted(_FIELDS))}")
    task = content.get("task") or ""
    if not isinstance(task, str):
        raise ValueError("task is a sentence")
    criteria = _criteria(content.get("criteria"))
    low, high = _scale(content.get("scale", [1, 10]))
    rubric = Rubric(criteria, low, high, task.strip())
    examples = content.get("examples") or []
    if not isinstance(examples, list):
        raise ValueError("examples are a list, each with messages and ratings")
    read = tuple(_example(rubric, one, f"example {i}") for i, one in enumerate(examples, start=1))
    return Rubric(criteria, low, high, task.strip(), read)


def _criteria(given: Any) -> dict[str, str]:
    if not isinstance(given, dict) or not given:
        raise ValueError("criteria are names with what each means, the last one the rating that counts")
    for key, words in given.items():
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise ValueError(f"criterion {key!r}: a name is letters, digits and _")
        if not isinstance(words, str) or not words.strip():
            raise ValueError(f"criterion {key}: say what it means")
    folded = [key.replace("_", "").casefold() for key in given]
    if len(set(folded)) < len(folded):
        raise ValueError("two criteria have the same name but for case or _")
    if taken := [
        key for key in list(given)[:-1] if key in _TAKEN or re.fullmatch(r"(score|rating)_\d+", key)
    ]:
        raise ValueError(f"criterion {taken[0]}: the table of ratings has a column of that name")
    return {key: " ".join(words.split()) for key, words in given.items()}


def _scale(given: Any) -> tuple[int, int]:
    whole = isinstance(given, list) and [type(end) for end in given] == [int, int]
    if not whole or not 0 <= given[0] < given[1] <= _MOST:
        raise ValueError(f"scale is [LOWEST, HIGHEST], whole numbers from 0 to {_MOST}, not {given!r}")
    return given[0], given[1]


def _example(rubric: Rubric, given: Any, name: str) -> Example:
    if not isinstance(given, dict) or set(given) != {"messages", "ratings"}:
        raise ValueError(f"{name} has messages and ratings, and nothing else")
    messages = given["messages"]
    if not isinstance(messages, list) or not messages:
        raise ValueError(f"{name}: messages are a list of role and content")
    for message in messages:
        if not isinstance(message, dict) or not all(
            isinstance(message.get(part), str) for part in ("role", "content")
        ):
            raise ValueError(f"{name}: a message has a role and a content, both text")
    ratings = given["ratings"]
    if not isinstance(ratings, dict) or set(ratings) != set(rubric.keys):
        raise ValueError(f"{name}: ratings name {', '.join(rubric.keys)}, each once")
    for key, rating in ratings.items():
        if type(rating) is not int or not rubric.low <= rating <= rubric.high:
            raise ValueError(f"{name}: {key}: {rating!r} is not within {rubric.low}..{rubric.high}")
    conversation = "".join(f"### {m['role']}: {m['content']}\n" for m in messages)
    return Example(conversation, {key: ratings[key] for key in rubric.keys})
