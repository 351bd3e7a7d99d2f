"""The miniature world's language: a few hundred words, eight kinds of task, right and wrong answers.

A **problem** is (family, shown words, right answer); a **prompt** wraps it as `STYLE PHRASING : SHOWN`.
Everything is words between single spaces, so one word is one token of the miniature model's tokenizer.

A prompt is **held out** when a checksum of its text says so: no pool and no pre-training text ever contains
it, whatever their seeds, and every question is one.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

TOPICS: Final[dict[str, tuple[str, ...]]] = {
    "fruit": ("apple", "banana", "cherry", "fig", "grape", "lemon", "mango", "olive", "peach", "plum"),
    "animals": ("badger", "camel", "donkey", "fox", "goat", "horse", "lion", "otter", "tiger", "wolf"),
    "tools": ("anvil", "brush", "chisel", "drill", "file", "hammer", "ladder", "pliers", "rasp", "wrench"),
    "clothes": ("apron", "belt", "coat", "dress", "glove", "hat", "jacket", "mitten", "scarf", "shirt"),
    "weather": ("breeze", "cloud", "drizzle", "fog", "gale", "hail", "mist", "rain", "snow", "thunder"),
    "music": ("banjo", "cello", "drum", "flute", "guitar", "harp", "lute", "oboe", "piano", "violin"),
    "colours": ("amber", "blue", "crimson", "green", "indigo", "ochre", "purple", "red", "teal", "yellow"),
    "kitchen": ("bowl", "cup", "dish", "fork", "grater", "kettle", "ladle", "oven", "pan", "spoon"),
    "trees": ("alder", "beech", "cedar", "elm", "fir", "larch", "maple", "oak", "pine", "willow"),
    "birds": ("crow", "dove", "eagle", "finch", "gull", "heron", "kite", "owl", "robin", "swan"),
    "travel": ("airport", "bridge", "canal", "ferry", "harbour", "map", "road", "station", "train", "wagon"),
    "body": ("ankle", "chin", "ear", "elbow", "finger", "heel", "knee", "nose", "shoulder", "wrist"),
}
"""Topic -> its words. No word is in two topics."""

NUMBERS: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip

STYLES: Final = (
    "please", "exercise", "hello", "quickly", "homework", "kindly", "question", "today", "quiz", "request",
    "problem", "friend", "challenge", "carefully", "assignment", "now",
)  # fmt: skip
"""First word of a prompt. Each source writes with one of them."""

PHRASINGS: Final[dict[str, tuple[str, ...]]] = {
    "reverse": ("reverse", "write backwards", "flip around"),
    "sort": ("sort", "alphabetise", "put in order"),
    "last": ("last word", "which ends", "final item"),
    "count": ("count", "how many", "length of"),
    "repeat": ("repeat", "say twice", "write again and again"),
    "add": ("add", "sum of", "total"),
    "join": ("join", "hyphenate", "link with dashes"),
    "largest": ("largest", "maximum of", "pick the greatest"),
}
"""Family -> ways to ask for it."""

FAMILIES: Final = tuple(PHRASINGS)
ERRORS: Final = ("echo", "careless", "other_task", "refusal")
"""Kinds of wrong answer, see `wrong_answer`."""

REFUSAL: Final = "i do not know"
PUNCTUATION: Final = (":", "-", "=")
HELD_OUT_SHARE: Final = 5
"""One prompt in so many is held out."""


@dataclass(frozen=True)
class Problem:
    family: str
    items: tuple[str, ...]
    """Words the task works on."""
    shown: str
    """How the prompt shows them."""
    answer: str
    """The right answer."""


def vocabulary() -> list[str]:
    """Every word of the language once, in a fixed order."""
    texts = [*PUNCTUATION, *NUMBERS, *STYLES, *REFUSAL.split()]
    texts += [word for ways in PHRASINGS.values() for way in ways for word in way.split()]
    texts += [word for words in TOPICS.values() for word in words]
    return list(dict.fromkeys(texts))


def make_problem(family: str, topic: str, rng: Random) -> Problem:
    """A random problem of a family; word tasks take their words from the topic."""
    return _MAKERS[family](TOPICS[topic], rng)


def write_prompt(problem: Problem, *, style: str, phrasing: str) -> str:
    """`STYLE PHRASING : SHOWN`."""
    return f"{style} {phrasing} : {problem.shown}"


def is_held_out(prompt: str) -> bool:
    """Whether the prompt is reserved for questions (a checksum of its text, the same on every machine)."""
    return zlib.crc32(prompt.encode()) % HELD_OUT_SHARE == 0


def wrong_answer(problem: Problem, kind: str, rng: Random) -> str:
    """An answer that is not right, of the given kind where that kind is wrong, else of the next one.

    `echo` repeats the words; `careless` is nearly right (a word lost or two swapped, a number off by one);
    `other_task` solves another task on the same words; `refusal` says so.
    """
    start = ERRORS.index(kind)
    for candidate in ERRORS[start:]:
        text = _WRONG[candidate](problem, rng)
        if text != problem.answer:
            return text
    raise AssertionError("a refusal is never right")


def _pick(words: Sequence[str], low: int, high: int, rng: Random) -> tuple[str, ...]:
    return tuple(rng.sample(words, rng.randint(low, high)))


def _words_problem(family: str, solve: Callable[[tuple[str, ...]], str], low: int, high: int) -> _Maker:
    def make(words: Sequence[str], rng: Random) -> Problem:
        items = _pick(words, low, high, rng)
        return Problem(family, items, " ".join(items), solve(items))

    return make


def _make_add(words: Sequence[str], rng: Random) -> Problem:
    left, right = rng.randrange(11), rng.randrange(11)
    items = (NUMBERS[left], NUMBERS[right])
    return Problem("add", items, " ".join(items), NUMBERS[left + right])


def _make_largest(words: Sequence[str], rng: Random) -> Problem:
    items = _pick(NUMBERS, 3, 4, rng)
    return Problem("largest", items, " ".join(items), max(items, key=NUMBERS.index))


def _solve_reverse(items: tuple[str, ...]) -> str:
    return " ".join(reversed(items))


def _solve_sort(items: tuple[str, ...]) -> str:
    return " ".join(sorted(items))


def _careless(problem: Problem, rng: Random) -> str:
    words = problem.answer.split()
    if len(words) > 1:
        return " ".join(words[:-1]) if rng.random() < 0.5 else " ".join([words[1], words[0], *words[2:]])
    if words[0] in NUMBERS:
        number = NUMBERS.index(words[0])
        return NUMBERS[number - 1 if number == len(NUMBERS) - 1 else number + 1]
    return problem.items[0]


def _other_task(problem: Problem, rng: Random) -> str:
    if problem.family in ("reverse", "join"):
        return _solve_sort(problem.items)
    return problem.items[0] if problem.family in ("sort", "largest") else _solve_reverse(problem.items)


_Maker = Callable[[Sequence[str], Random], Problem]
_MAKERS: Final[dict[str, _Maker]] = {
    "reverse": _words_problem("reverse", _solve_reverse, 3, 5),
    "sort": _words_problem("sort", _solve_sort, 3, 4),
    "last": _words_problem("last", lambda items: items[-1], 3, 6),
    "count": _words_problem("count", lambda items: NUMBERS[len(items)], 2, 7),
    "repeat": _words_problem("repeat", lambda items: " ".join([*items, *items]), 2, 3),
    "add": _make_add,
    "join": _words_problem("join", lambda items: " - ".join(items), 3, 4),
    "largest": _make_largest,
}
_WRONG: Final[dict[str, Callable[[Problem, Random], str]]] = {
    "echo": lambda problem, rng: " ".join(problem.items),
    "careless": _careless,
    "other_task": _other_task,
    "refusal": lambda problem, rng: REFUSAL,
}
