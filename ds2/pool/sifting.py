"""What of a pool may be used: samples that hold questions of evaluation sets, and near-duplicates, are found.

Which of them are left out, the configuration says (`left_out`): near-duplicates always, contaminated samples
under `pool.on_contamination=drop`. The two do not see each other: a near-duplicate of a contaminated sample
is looked at as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ds2.base.hashes import fingerprint
from ds2.base.progress import Bar
from ds2.base.words import quantity
from ds2.config import OnContamination, PoolConfig, RowsPoolConfig
from ds2.method.near_duplicates import Copies, copies_among
from ds2.method.overlap import QuestionIndex
from ds2.pool.pool import Pool
from ds2.pool.source import Sieve

CONTAMINATED = "hold a question of an evaluation set"
NEAR_DUPLICATE = "are near-duplicates of an earlier sample"
_MANY = 10_000
"""Samples from which on a search shows a bar."""
Questions = Mapping[str, list[str]]
"""Evaluation set -> its questions."""


@dataclass(frozen=True)
class Hit:
    """A sample that holds a question."""

    position: int
    """Of the sample."""
    set: str
    question: int
    """Its position in the set, from 0."""
    share: float
    """Of the question's words that the sample shares in long runs (`ds2.method.overlap`)."""
    words: str
    """The longest run."""
    asked: str
    """The question."""


@dataclass(frozen=True)
class Copy:
    """A sample that repeats an earlier one."""

    position: int
    of: int
    """Position of the sample that stays."""
    similarity: float


@dataclass(frozen=True)
class Sifted:
    """What was found in a pool."""

    hits: tuple[Hit, ...] = ()
    copies: tuple[Copy, ...] = ()
    """By the sample that stays, the largest group first."""
    questions: Mapping[str, int] | None = None
    """Evaluation set -> how many questions were looked for; None: none were."""

    def left_out(self, config: RowsPoolConfig) -> dict[int, str]:
        """Position -> why it is left out of the pool."""
        reasons = {copy.position: NEAR_DUPLICATE for copy in self.copies}
        if config.on_contamination is OnContamination.drop:
            reasons |= {hit.position: CONTAMINATED for hit in self.hits}
        return reasons

    @property
    def contaminated(self) -> list[int]:
        """Positions of the samples that hold a question, in order."""
        return sorted({hit.position for hit in self.hits})

    @property
    def groups(self) -> dict[int, list[Copy]]:
        """Position of a sample that stays -> those that repeat it; the largest group first."""
        groups: dict[int, list[Copy]] = {}
        for copy in self.copies:
            groups.setdefault(copy.of, []).append(copy)
        return groups

    def by_set(self) -> list[tuple[str, int, int, int]]:
        """(set, questions, of these held, samples that hold one)."""
        held = {(hit.set, hit.question) for hit in self.hits}
        asked = Counter(name for name, _ in held)
        samples = Counter(name for name, _ in {(hit.set, hit.position) for hit in self.hits})
        return [(name, n, asked[name], samples[name]) for name, n in (self.questions or {}).items()]

    def in_words(self) -> str:
        """What was found of the evaluation sets."""
        return "; ".join(
            f"{quantity(samples)} {'samples hold' if samples > 1 else 'sample holds'} {quantity(held)} of "
            f"{quantity(questions)} questions of {name}"
            for name, questions, held, samples in self.by_set()
            if samples
        )


def sieve_of(config: PoolConfig, fingerprint_of_sift: str, found: Callable[[], Sifted]) -> Sieve | None:
    """What a configuration leaves out of its pool; None where that is nothing.

    Args:
        fingerprint_of_sift: of the search, `found` what it found.
    """
    if not isinstance(config, RowsPoolConfig):
        return None
    drops = bool(config.evaluation_sets) and config.on_contamination is OnContamination.drop
    if not drops and config.near_duplicates is None:
        return None
    identity = fingerprint({"sift": fingerprint_of_sift, "contaminated": drops})
    return Sieve(identity, lambda: found().left_out(config))


def sift(pool: Pool, config: RowsPoolConfig, questions: Questions, *, progress: bool = False) -> Sifted:
    """Look through a pool.

    Args:
        questions: of the sets that `config.decontaminate` names.

    Raises:
        UserError: a similarity out of range, or a package that is missing.
    """
    copies: tuple[Copy, ...] = ()
    if config.near_duplicates is not None:
        texts = _bar(pool.contents(), "near-duplicates", progress)
        copies = tuple(_copies(copies_among(texts, config.near_duplicates)))
    if not questions:
        return Sifted((), copies)
    hits = tuple(_hits(pool, questions, progress))
    return Sifted(hits, copies, {name: len(asked) for name, asked in questions.items()})


def _copies(found: Copies) -> Iterator[Copy]:
    for first, *others in found.groups:
        for position in others:
            yield Copy(position, first, float(found.similarity[position]))


def _hits(pool: Pool, questions: Questions, progress: bool) -> Iterator[Hit]:
    places = [(name, n, text) for name, asked in questions.items() for n, text in enumerate(asked)]
    index = QuestionIndex([text for _, _, text in places])
    for position, sample in enumerate(_bar(pool.samples, "evaluation questions", progress)):
        for held in index.held_in(message.text for message in sample.messages):
            name, n, text = places[held.question]
            yield Hit(position, name, n, held.share, held.words, text)


def _bar(items: Any, name: str, progress: bool) -> Iterable[Any]:
    hidden = not progress or len(items) < _MANY
    return Bar(items, desc=f"looking for {name}", unit=" samples", disable=hidden, mininterval=0.5)
