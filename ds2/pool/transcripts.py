"""Conversations written as one text, with marks where a role begins to speak."""

from __future__ import annotations

import re

from ds2.pool.messages import Message

_ROLES = {"human": "user", "instruction": "user", "response": "assistant"}
_STYLES = (
    re.compile(r"<\|im_start\|>(system|user|assistant)\n"),
    re.compile(r"(?:^|\n)### (System|Human|User|Assistant):[ \n]?"),
    re.compile(r"(?:^|\n)### (Instruction|Input|Response):\n"),
    re.compile(r"(?:^|\n\n)(System|Human|User|Assistant): ?"),
)
_END = "<|im_end|>"


def read_transcript(text: str) -> tuple[Message, ...] | None:
    """The turns of a text that begins with a role's mark and has a question and an answer; else None.

    Marks: ChatML, `### Human:` (Guanaco), `### Instruction:` (Alpaca's own prompt), `Human:` after an empty
    line (HH-RLHF).
    """
    start = text.lstrip()
    for style in _STYLES:
        marks = list(style.finditer(start))
        preamble = start[: marks[0].start()].strip() if marks else ""
        alpaca = "Instruction" in style.pattern
        if len(marks) < 2 or (preamble and not alpaca):
            continue
        ends = [*(mark.start() for mark in marks[1:]), len(start)]
        told = [(m[1].lower(), start[m.end() : end]) for m, end in zip(marks, ends, strict=True)]
        turns = _merged(told, preamble)
        roles = {turn.role for turn in turns}
        if {"user", "assistant"} <= roles:
            return turns
    return None


def _merged(told: list[tuple[str, str]], preamble: str) -> tuple[Message, ...]:
    """Alpaca's preamble is a system turn, and its input stands below the instruction."""
    turns = [Message("system", preamble)] if preamble else []
    for word, text in told:
        content = text.split(_END)[0].strip()
        if word == "input" and turns and turns[-1].role == "user":
            turns[-1] = Message("user", f"{turns[-1].content}\n{content}" if content else turns[-1].content)
        else:
            turns.append(Message(_ROLES.get(word, word), content))
    return tuple(turns)
