"""What a language model made of a pool: outcomes by source, tokens, cut conversations, warnings."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.method.agreement import COLLAPSED, RepeatAgreement
from ds2.models.chat import Answer
from ds2.rating.parse import Outcome
from ds2.rating.rubric import PAPER

NOT_ASKED = "not asked"
"""The outcome of a sample outside `rater.sample`."""


@dataclass(frozen=True)
class UnratedSample:
    """A sample that was asked about and has no rating."""

    position: int
    outcome: Outcome
    reason: str
    text: str
    """Raw text of the last answer; empty where none was delivered."""


@dataclass(frozen=True)
class ModelRatings:
    """What a language model said of N samples, in full."""

    criteria: NDArray[np.float64]
    """(N, R, C) for each of R repeats, in the order of `names`; NaN: unknown."""
    outcomes: tuple[str, ...]
    """(N,) values of `Outcome`, of repeats the best; `NOT_ASKED`."""
    unrated: tuple[UnratedSample, ...]
    report: RatingReport
    distribution: NDArray[np.float32] | None = None
    """(N, 9) P(rating = 1..9), the mean over repeats, with `reading=expected`; NaN rows: unrated. By a
    person's own rubric, a column for each digit of its scale."""
    names: tuple[str, ...] = PAPER.keys
    """Of the C criteria, the one that counts last."""


@dataclass
class RatingReport:
    """Counts of one stage; a rating is one repeat of one sample."""

    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    """Source -> outcome -> ratings."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why answers could not be read or had to be mended, over all tries."""
    cut: int = 0
    """Samples whose conversation was cut to `rater.max_prompt_tokens`."""
    answers: int = 0
    """All answers read, also those that were asked again."""
    replayed: int = 0
    """How many of these the log held already."""
    changes: Counter[str] = field(default_factory=Counter)
    """What the server did not take (`without temperature`) -> answers that were asked for so."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    untold: int = 0
    """Answers whose tokens the server did not tell; the sums above are without them."""
    models: Counter[str] = field(default_factory=Counter)
    """The model as the server names it -> answers."""
    largest_share: float = 0.0
    """Share of the most common score among the rated samples."""
    most_common: int | None = None
    """That score."""
    agreement: RepeatAgreement | None = None
    """Between the repeats of a sample, where `rater.repeats` asks for several."""

    def count_answer(self, answer: Answer, *, replayed: bool) -> None:
        """Every answer, read or not, costs its tokens."""
        self.answers += 1
        self.replayed += replayed
        self.changes.update(answer.changes)
        self.prompt_tokens += answer.prompt_tokens
        self.cached_tokens += answer.cached_tokens
        self.completion_tokens += answer.completion_tokens
        self.untold += answer.prompt_tokens == 0  # a question has some, whatever the server says
        if answer.model:
            # A local model is known by its content, as the fingerprint says; where it lies is not its name.
            path = Path(answer.model)
            self.models[path.name if path.is_absolute() else answer.model] += 1

    def settle(self, source: str, outcome: Outcome) -> None:
        """A rating that is there, or given up."""
        self.outcomes.setdefault(source, Counter())[outcome.value] += 1

    def count_scores(self, scores: NDArray[np.int16]) -> None:
        """The most common of the rated samples' scores."""
        rated = scores[scores >= 0]
        if len(rated):
            counts = np.bincount(rated)
            self.most_common = int(counts.argmax())
            self.largest_share = float(counts.max() / len(rated))

    @property
    def total(self) -> dict[str, int]:
        """Outcome -> ratings, all outcomes in order."""
        return {o.value: sum(ratings[o.value] for ratings in self.outcomes.values()) for o in Outcome}

    @property
    def warnings(self) -> tuple[str, ...]:
        said = []
        if self.largest_share > COLLAPSED:
            said.append(
                f"THE RATER HAS COLLAPSED: {self.largest_share:.1%} of its scores are {self.most_common}, so "
                "they hardly tell samples apart; try another model, rater.reading=expected or another scale"
            )
        if len(self.models) > 1:
            served = ", ".join(f"{name} ({count:,})" for name, count in self.models.most_common())
            said.append(f"the server answered with several models: {served}")
        return tuple(said)

    def counts(self) -> dict[str, Any]:
        """The numbers of the stage's record; tokens are None where the server told them of no answer."""
        told = self.untold < self.answers or not self.answers
        agreement = {} if self.agreement is None else asdict(self.agreement)
        return {
            **self.total,
            "cut": self.cut,
            "answers": self.answers,
            "replayed": self.replayed,
            "changes": dict(self.changes),
            "prompt_tokens": self.prompt_tokens if told else None,
            "cached_tokens": self.cached_tokens if told else None,
            "completion_tokens": self.completion_tokens if told else None,
            "answers_without_tokens": self.untold,
            "largest_share": self.largest_share,
            **{f"repeats_{name}": value for name, value in agreement.items()},
        }
