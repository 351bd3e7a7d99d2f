"""Tokens without a tokenizer, and the tokens by which a score is read."""

from __future__ import annotations

import math

DIGITS = "123456789"
"""Ratings under `reading=expected`: one token each in every tokenizer. Scores that end at 9 lose nothing by it."""


def estimate_tokens(text: str) -> int:
    """Tokens of a text without a tokenizer, on the safe side: English runs at about four characters a token, other scripts at
    one or two bytes."""
    plain = len(text) if text.isascii() else len(text.encode("ascii", "ignore"))
    other = 0 if text.isascii() else len(text.encode("utf-8", "replace")) - plain
    return math.ceil(plain / 3.5 + other / 2)
