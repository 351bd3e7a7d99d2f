"""A conversation in the room that the prompt leaves it: cut in its middle; its task and its end stay."""

from __future__ import annotations

from collections.abc import Callable

from ds2.base.errors import UserError
from ds2.config import Reading
from ds2.rating import prompt
from ds2.rating.rubric import PAPER, Rubric

CUT = "\n[... {left_out} characters left out ...]\n"
_LEAST = 32
"""Tokens that a conversation must be left, or no rating of it means anything."""
_MARGIN = 0.99
"""Each cut aims a little below the room, because tokens are not spread evenly over the text."""


class Room:
    """The tokens that `max_prompt_tokens` leaves to a conversation; the instructions are never cut.

    Args:
        count_tokens: tokens of a text, as the model's tokenizer has them or as a cautious estimate.

    Raises:
        UserError: the instructions alone fill the prompt, or their version is unknown.
    """

    def __init__(
        self, max_prompt_tokens: int, count_tokens: Callable[[str], int], reading: Reading, version: int,
        rubric: Rubric = PAPER,
    ) -> None:  # fmt: skip
        self._count = count_tokens
        frame = count_tokens(prompt.chat("", reading, version, rubric)[0]["content"])
        self.tokens = max_prompt_tokens - frame
        """For the conversation."""
        if self.tokens < _LEAST:
            raise UserError(
                f"rater.max_prompt_tokens={max_prompt_tokens} leaves no room for a conversation: the "
                f"instructions take {frame}; give at least {frame + _LEAST}"
            )

    def fit(self, conversation: str) -> tuple[str, bool]:
        """The conversation, cut in its middle where it is too long, and whether it was."""
        kept = len(conversation)
        # No tokenizer makes more tokens than bytes.
        if 4 * kept <= self.tokens or (used := self._count(conversation)) <= self.tokens:
            return conversation, False
        while used > self.tokens and kept:
            kept = int(kept * self.tokens / used * _MARGIN)
            used = self._count(_cut(conversation, kept))
        return _cut(conversation, kept), True


def _cut(text: str, kept: int) -> str:
    """The first and last `kept / 2` characters, and between them how many are missing."""
    tail = kept // 2
    return text[: kept - tail] + CUT.format(left_out=f"{len(text) - kept:,}") + text[len(text) - tail :]
