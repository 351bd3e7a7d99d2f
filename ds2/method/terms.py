"""Terms of a text in any script: words where spaces divide them, pairs of characters where they do not; and
its words in order, for copies.

Chinese, Japanese, Thai, Lao, Khmer, Burmese and Tibetan are written without spaces between words: a whole
clause would pass for one word, which no other text has. A run of such characters gives its bigrams instead (a
run of one, the character). Words of other scripts are scikit-learn's: two letters or more, in lower case.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # iteration marks of Han
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),  # Katakana of half width
    (0x20000, 0x3134F),  # Han beyond the first plane
)
"""First and last code point of blocks whose scripts have no spaces between words."""

_UNSPACED = "".join(f"{chr(first)}-{chr(last)}" for first, last in UNSPACED)
_RUN = re.compile(f"[{_UNSPACED}]+")
_WORD = re.compile(r"\b\w\w+\b")
_ANY_WORD = re.compile(r"[^\W_]+")
_WORD_OR_CHARACTER = re.compile(f"[{_UNSPACED}]|[^\\s{_UNSPACED}]+")


class _Spaced(dict[int, int]):
    """Character -> itself in a word, else a space. Signs that stand on a letter (vowels of Indic scripts) are
    part of its word, which `\\w` does not know.
    """

    def __missing__(self, code: int) -> int:
        character = chr(code)
        in_word = character.isalnum() or unicodedata.category(character).startswith("M")
        self[code] = code if in_word else ord(" ")
        return self[code]


_SPACED = _Spaced()


def terms_of(text: str) -> list[str]:
    """The terms of one text, repeated as often as they occur; runs without spaces come last."""
    text = text.lower()
    runs = _RUN.findall(text)
    if not runs:
        return _WORD.findall(text)
    found = _WORD.findall(_RUN.sub(" ", text))
    for run in runs:
        found += [run[i : i + 2] for i in range(len(run) - 1)] or [run]
    return found


def words_of(text: str) -> list[str]:
    """The words of one text in order, by which copies are told: case, spacing, punctuation and forms of a
    character (NFKC) do not matter. Runs without spaces give their characters.
    """
    if text.isascii():
        return _ANY_WORD.findall(text.lower())
    text = unicodedata.normalize("NFKC", text).casefold().translate(_SPACED)
    return _WORD_OR_CHARACTER.findall(text) if _RUN.search(text) else text.split()


def analyzer_for(texts: Sequence[str]) -> str | Callable[[str], list[str]]:
    """What scikit-learn's vectorizers take as `analyzer`: its own, faster, where no text has a run without
    spaces; its terms are then the same.
    """
    return terms_of if has_unspaced(texts) else "word"


def has_unspaced(texts: Sequence[str]) -> bool:
    """Whether some text holds characters of a script without spaces."""
    return any(_RUN.search(text) for text in texts)


def count_vectorizer(texts: Sequence[str], **options: Any) -> Any:
    """scikit-learn's `CountVectorizer` of these terms."""
    from sklearn.feature_extraction.text import CountVectorizer

    return CountVectorizer(analyzer=analyzer_for(texts), **options)
