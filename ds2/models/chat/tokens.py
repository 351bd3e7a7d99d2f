"""Tokens of a text without a tokenizer."""

from __future__ import annotations

import math


def estimate_tokens(text: str) -> int:
    """How many they are, on the safe side: English runs at about four characters a token, other scripts at
    one or two bytes."""
    plain = len(text) if text.isascii() else len(text.encode("ascii", "ignore"))
    other = 0 if text.isascii() else len(text.encode("utf-8", "replace")) - plain
    return math.ceil(plain / 3.5 + other / 2)
