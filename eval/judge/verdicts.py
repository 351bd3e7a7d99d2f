"""The question put to the judge, its verdict, and what the two orders of a pair say together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ds2.models.chat import Chat

SYSTEM = """\
You compare how two assistants answered the same user. Weigh how well each answer does what the user \
asked: whether it is helpful, relevant, accurate, deep enough and clear. Neither the order in which the \
answers are shown nor their length should sway you. Where there are several turns, judge the answers to \
the last one.
Explain your comparison in a few sentences. Then write your verdict on a line of its own: [[A]] if \
assistant A's answer is better, [[B]] if assistant B's is, [[C]] if they are equally good."""

_VERDICT = re.compile(r"\[\[([ABC])\]\]")
_POINTS = {"A": 1, "B": -1, "C": 0}


@dataclass(frozen=True)
class Pair:
    """Two models' answers to one turn of one prompt, with what went before it."""

    id: str
    turn: int
    users: tuple[str, ...]
    """The user's messages up to this turn."""
    first: tuple[str, ...]
    """The first model's answers up to this turn."""
    second: tuple[str, ...]

    def swapped(self) -> Pair:
        return Pair(self.id, self.turn, self.users, self.second, self.first)

    @property
    def extra_length(self) -> int:
        """Characters by which the first model's last answer is longer."""
        return len(self.first[-1]) - len(self.second[-1])


def judge_prompt(pair: Pair) -> Chat:
    """Chat messages for the judge; the pair's first model is assistant A."""
    blocks = []
    for name, answers in (("A", pair.first), ("B", pair.second)):
        turns = (
            f"User: {user}\n\nAssistant {name}: {answer}"
            for user, answer in zip(pair.users, answers, strict=True)
        )
        blocks.append(
            f"[Conversation with assistant {name}]\n" + "\n\n".join(turns) + f"\n[End with assistant {name}]"
        )
    return ({"role": "system", "content": SYSTEM}, {"role": "user", "content": "\n\n".join(blocks)})


def read_verdict(reply: str) -> int | None:
    """1 where A is better, -1 where B is, 0 for a tie; None where the reply holds no verdict. The last one
    counts."""
    letters = _VERDICT.findall(reply)
    return _POINTS[letters[-1]] if letters else None


def combine(as_a: int | None, as_b: int | None) -> int | None:
    """1 win, 0 tie, -1 loss of the first model, from its verdicts shown first and shown second (seen from A).

    Two wins, or a win and a tie, are a win; one win and one loss, or two ties, are a tie.
    """
    if as_a is None or as_b is None:
        return None
    points = as_a - as_b
    return (points > 0) - (points < 0)


def pair_up(first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]]) -> list[Pair]:
    """A pair for each turn of each prompt; no id may stand twice in either. ValueError names a prompt that
    the two files do not share, or do not answer.
    """
    others = {str(row["id"]): row for row in second}
    differing = {str(row["id"]) for row in first} ^ set(others)
    if differing:
        raise ValueError(f"they answer different prompts, for example {min(differing)!r}")
    pairs = []
    for row in first:
        other = others[str(row["id"])]
        turns, mine, theirs = (
            tuple(v) for v in (row["turns"], row.get("answers", ()), other.get("answers", ()))
        )
        if turns != tuple(other["turns"]):
            raise ValueError(f"prompt {row['id']} is not the same in both files")
        if not len(turns) == len(mine) == len(theirs):
            raise ValueError(
                f"prompt {row['id']} has {len(turns)} turns, but {len(mine)} and {len(theirs)} answers"
            )
        pairs += [Pair(str(row["id"]), t, turns[:t], mine[:t], theirs[:t]) for t in range(1, len(turns) + 1)]
    return pairs
