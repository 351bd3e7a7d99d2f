"""Near-duplicates: texts that share most of their words' trigrams.

    S(a)     the trigrams of `words_of(a)`; of a text of fewer words, all of them as one
    J(a, b)  |S(a) and S(b)| / |S(a) or S(b)|, Jaccard's similarity

    taken = (),  for a in order:  take a  unless  J(a, b) >= t for a b in taken,  whose copy a then is

Equal words are found exactly. For t < 1, MinHash (datasketch) names the texts to compare, and J decides: no
pair below t counts as one. A pair at t is not named once in a thousand times (`_MISSED`), one above it more
rarely; the hashes are fixed, so the same texts give the same result on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ds2.base import extras
from ds2.base.errors import UserError
from ds2.method.terms import words_of

_PERMUTATIONS = 128
_SEED = 1
_MISSED = 0.001
"""Chance that a pair at the threshold is not compared."""
_LENGTH = 3


@dataclass(frozen=True)
class Copies:
    """Which texts repeat an earlier one."""

    of: NDArray[np.int64]
    """(N,) the text that stays in place of it; its own position where it stays."""
    similarity: NDArray[np.float64]
    """(N,) J to that text."""

    @property
    def groups(self) -> list[list[int]]:
        """Texts that count as one, the one that stays first; the largest group first."""
        members: dict[int, list[int]] = {}
        for n in np.flatnonzero(self.of != np.arange(len(self.of))).tolist():
            first = int(self.of[n])
            members.setdefault(first, [first]).append(n)
        return sorted(members.values(), key=lambda group: (-len(group), group[0]))


def copies_among(texts: Iterable[str], similarity: float) -> Copies:
    """The texts that repeat an earlier one at J of `similarity` or more; texts without a word repeat none.

    Raises:
        UserError: a similarity outside (0, 1], or one below 1 without the package datasketch.
    """
    if not 0 < similarity <= 1:
        raise UserError(f"pool.near_duplicates={similarity:g} must be a similarity above 0, up to 1")
    taken = _Taken(similarity) if similarity < 1 else None
    known: dict[bytes, int] = {}
    of: list[int] = []
    similarities: list[float] = []
    for n, text in enumerate(texts):
        words = words_of(text)
        first = known.setdefault(hashlib.blake2b(" ".join(words).encode(), digest_size=16).digest(), n)
        if not words:
            first = n
        likeness = 1.0
        if first != n:
            likeness, first = similarities[first], of[first]
        elif taken is not None and words:
            first, likeness = taken.nearest_or_add(n, trigrams(words))
        of.append(first)
        similarities.append(likeness)
    return Copies(np.array(of, dtype=np.int64), np.array(similarities))


class _Taken:
    """Texts that stay, found by MinHash."""

    def __init__(self, similarity: float) -> None:
        try:
            from datasketch import MinHash, MinHashLSH
        except ModuleNotFoundError as error:
            raise UserError(
                f"pool.near_duplicates={similarity:g} needs datasketch: {extras.install_line('datasketch')}; "
                "pool.near_duplicates=1 (the same words) needs no package"
            ) from error
        self._least = similarity
        self._lsh = MinHashLSH(similarity, _PERMUTATIONS, params=_bands(similarity))
        self._empty = MinHash(_PERMUTATIONS, _SEED, hashfunc=int)
        self._trigrams: dict[int, NDArray[np.uint64]] = {}

    def nearest_or_add(self, n: int, mine: NDArray[np.uint64]) -> tuple[int, float]:
        """The most similar text that stays, the earliest of equal ones, and J to it; n itself, which stays
        from now on, where none is similar enough.
        """
        sketch = self._empty.copy()
        sketch.update_batch((mine & np.uint64(0xFFFFFFFF)).tolist())
        best, nearest = 0.0, n
        for other in sorted(self._lsh.query(sketch)):
            likeness = jaccard(mine, self._trigrams[other])
            if likeness > best:
                best, nearest = likeness, other
        if best >= self._least:
            return nearest, best
        self._lsh.insert(n, sketch)
        self._trigrams[n] = mine
        return n, 1.0


def _bands(similarity: float) -> tuple[int, int]:
    """Bands, and hashes in each: as many in each as miss no more pairs than they may.

    A pair is compared where all r hashes of one of b bands are equal, each with probability J: it is missed
    with (1 - J^r)^b.
    """
    rows = [r for r in range(1, _PERMUTATIONS) if (1 - similarity**r) ** (_PERMUTATIONS // r) <= _MISSED]
    most = max(rows, default=1)
    return _PERMUTATIONS // most, most


def jaccard(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> float:
    """J of two sorted arrays of different trigrams."""
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)


def trigrams(words: list[str]) -> NDArray[np.uint64]:
    """The different trigrams of a text, as sorted hashes."""
    hashes = np.fromiter(map(_hash, words), dtype=np.uint64, count=len(words))
    width = min(_LENGTH, len(words))
    mixed = np.zeros(len(words) - width + 1, dtype=np.uint64)
    for place in range(width):
        mixed = (mixed ^ hashes[place : len(hashes) - width + 1 + place]) * _ODD
        mixed ^= mixed >> np.uint64(29)
    return np.unique(mixed)


_ODD = np.uint64(0x9E3779B97F4A7C15)


@lru_cache(maxsize=1 << 20)
def _hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
