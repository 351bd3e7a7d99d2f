"""Questions of evaluation sets in other texts: shared runs of words, found with an index of the questions.

    w(q)     the L words of question q (`ds2.method.terms.words_of`)
    n(q)     min(13, L // 2) where L >= 13: the length of a run that counts
    share    words of q that lie in runs of n(q) words or more which a text shares with q, over L

    L >= 13       a text holds q where at least half of w(q) lies in such runs: so a copy with any one word
                  changed is always found, for one side of that word has half of the others
    5 <= L < 13   where it has all of w(q) in a row: with one word changed a short question is another one
    L < 5         where w(q) is all that it says

13 is the length that GPT-3 (arXiv 2005.14165, appendix C) and lm-evaluation-harness use. A run never goes
from one turn of a conversation into the next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ds2.method.terms import words_of

RUN = 13
"""Words of a run that counts, of questions of twice as many and more."""
SHORT, TINY = 13, 5
"""Questions of fewer words must be held whole; be the whole text."""
_ANCHOR = 5
"""Words by which shared runs are found; no run that counts is shorter."""


@dataclass(frozen=True)
class Held:
    """A question that a text holds."""

    question: int
    """Its position among the questions."""
    share: float
    """Of its words that are shared, (0, 1]."""
    words: str
    """The longest shared run."""


class QuestionIndex:
    """Questions to be looked for in many texts. Those without any word are in no text."""

    def __init__(self, questions: Sequence[str]) -> None:
        self._questions = [words_of(question) for question in questions]
        self._whole: dict[str, list[int]] = defaultdict(list)
        self._anchors: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for q, words in enumerate(self._questions):
            if 0 < len(words) < TINY:
                self._whole[" ".join(words)].append(q)
            for start, anchor in _anchors(words):
                self._anchors[anchor].append((q, start))

    def held_in(self, turns: Iterable[str]) -> list[Held]:
        """The questions that a conversation of these texts holds, each once, by the turn that has most."""
        found: dict[int, Held] = {}
        for turn in turns:
            for held in self._in_one(words_of(turn)):
                if held.question not in found or held.share > found[held.question].share:
                    found[held.question] = held
        return [found[q] for q in sorted(found)]

    def _in_one(self, words: list[str]) -> Iterator[Held]:
        if len(words) < TINY:
            yield from (Held(q, 1.0, " ".join(words)) for q in self._whole.get(" ".join(words), ()))
            return
        for q, runs in self._runs(words).items():
            question = self._questions[q]
            least = min(RUN, len(question) // 2) if len(question) >= SHORT else len(question)
            long = [(start, end) for start, end in runs if end - start >= least]
            shared = {place for start, end in long for place in range(start, end)}
            if long and len(shared) >= len(question) // 2:
                start, end = max(long, key=lambda run: run[1] - run[0])
                yield Held(q, len(shared) / len(question), " ".join(question[start:end]))

    def _runs(self, words: list[str]) -> dict[int, list[tuple[int, int]]]:
        """Question -> its (start, end) that stand in these words, as long as they can be."""
        # Anchors of one question at one distance from their place there are of one run while they follow
        # each other.
        open_runs: dict[tuple[int, int], tuple[int, int]] = {}
        runs: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for at, anchor in _anchors(words):
            for q, start in self._anchors.get(anchor, ()):
                key = (q, at - start)
                before = open_runs.get(key)
                if before is not None and before[1] == start - 1:
                    open_runs[key] = (before[0], start)
                else:
                    if before is not None:
                        runs[q].append((before[0], before[1] + _ANCHOR))
                    open_runs[key] = (start, start)
        for (q, _), (first, last) in open_runs.items():
            runs[q].append((first, last + _ANCHOR))
        return runs


def _anchors(words: Sequence[str]) -> Iterator[tuple[int, str]]:
    for start in range(len(words) - _ANCHOR + 1):
        yield start, " ".join(words[start : start + _ANCHOR])
