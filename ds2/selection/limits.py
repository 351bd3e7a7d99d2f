"""A budget that is no number of samples: the most samples of a strategy's choice that it can pay for.

The strategy is asked for n samples: whatever it ranks, covers or draws is what it would choose if it were
asked for that many.

    tokens    sum of the assistant tokens of the chosen
    FLOPs     what selecting took, and 6 N D for D tokens trained in all passes (`ds2.models.flops`)

What n samples take at the least grows with n: the largest n that could fit is found by halving, with about
log2(N) choices. What they take in whole optimiser steps does not: where one sample begins a step, the longest
of all may fill it. Hence the largest n that does fit is looked for below, one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import UserError
from ds2.config import SelectionConfig
from ds2.config.stages import flops_text
from ds2.models import flops
from ds2.models.trained_tokens import most_trained
from ds2.selection import choose
from ds2.selection.request import Choice, Request

C = TypeVar("C", bound=SelectionConfig)


@dataclass(frozen=True)
class Limit:
    """What a choice may take."""

    name: str
    """Of what is counted, in the record."""
    option: str
    """As it was given: `budget.tokens=300`."""
    unit: str
    most: float
    cost: Callable[[NDArray[np.int64]], float]
    """What chosen rows take, in order of choice."""
    least: NDArray[np.float64]
    """(N,) what each row takes at the least; 0 of those that fine-tuning would leave out."""
    kind: type[int] | type[float] = float
    """Whether it is counted in whole numbers."""
    before: float = 0.0
    """What the budget paid for already: selecting."""
    steps: int | None = None
    """Samples of an optimiser step where whole steps are counted."""

    def floor(self, rows: NDArray[np.int64]) -> float:
        """What chosen rows take at the least."""
        return float(self.least[rows].sum())


def of_tokens(counts: NDArray[np.int64], most: int) -> Limit:
    """At most so many assistant tokens.

    Args:
        counts: (N,) assistant tokens of each sample.
    """

    def cost(rows: NDArray[np.int64]) -> float:
        return float(counts[rows].sum())

    return Limit(
        "tokens", f"budget.tokens={most}", "assistant tokens", most, cost, counts.astype(np.float64), int
    )


@dataclass(frozen=True)
class Training:
    """How the chosen will be trained on: what their FLOPs depend on."""

    lengths: NDArray[np.int64]
    """(N,) tokens of each sample as fine-tuning sees it, prompts too; 0: it is left out."""
    parameters: int
    """Of the base model."""
    epochs: float
    total_batch: int
    references: int | None = None
    """Where tokens are cleaned: how many models are fine-tuned first, each on all but its share of the
    subset. 0: the reference was there. None: they are not cleaned.
    """

    def most(self, rows: NDArray[np.int64]) -> float:
        """FLOPs of training on these rows, at most: the passes are whole optimiser steps, and which rows fill
        the last one depends on the seed.
        """
        lengths = self.lengths[rows]
        trained, read = self._passes(lengths), 0
        if self.references is not None:
            read = 2 * int(lengths.sum())  # by the base model and by the reference
            for fold in range(self.references):
                trained += self._passes(lengths[np.arange(len(lengths)) % self.references != fold])
        return flops.training(self.parameters, trained) + flops.reading(self.parameters, read)

    def _passes(self, lengths: NDArray[np.int64]) -> int:
        return most_trained(lengths[lengths > 0], epochs=self.epochs, total_batch=self.total_batch)


def of_flops(training: Training, most: float, *, selecting: float) -> Limit:
    """At most so many FLOPs of selecting and of training together.

    Raises:
        UserError: selecting alone took that much.
    """
    option = f"budget.flops={flops_text(most)}"
    if selecting >= most:
        raise UserError(
            f"{option}: selection alone took {flops_text(selecting, 3)}, and nothing is left to train with; "
            "raise it, or choose a selection that costs less"
        )
    per_token = flops.training(training.parameters, 1) * training.epochs
    least = (per_token * training.lengths).astype(np.float64)
    return Limit(
        "training_flops", option, "FLOPs to train on", most - selecting, training.most, least,
        before=selecting, steps=training.total_batch,
    )  # fmt: skip


_MATCHED = 0.95
"""Of which share on a budget of FLOPs counts as filled."""


@dataclass(frozen=True)
class Filled:
    """A choice that a limit allows."""

    choice: Choice
    taken: float
    """What it takes, at most the limit."""
    used: float | None = None
    """Share of the budget that was used where that is not matched with others: the strategy has no more
    samples, or whole steps leave more than a twentieth. None: it is filled.
    """


def fill(request: Request[C], limit: Limit) -> Filled:
    """The most that the strategy chooses within the limit; where a part of it stays, a warning says so. What
    fine-tuning would leave out of its choice takes nothing and is no part of the subset.

    Raises:
        UserError: the first sample does not fit, or the strategy cannot choose even one.
    """
    most, ended = _could_fit(request, limit)
    best = _fits(request, limit, most)
    ended = ended and best is most
    taken = limit.cost(best.positions)
    best = _trained_alone(request, best, limit)
    used = (limit.before + taken) / (limit.before + limit.most)
    if ended and taken != limit.most:
        line = _not_filled(request, limit, len(best.positions), used)
    elif limit.steps is not None and used < _MATCHED:
        line = _not_full(request, limit, used)
    else:
        return Filled(best, taken)
    return Filled(replace(best, warnings=(*best.warnings, line)), taken, used)


def _could_fit(request: Request[C], limit: Limit) -> tuple[Choice, bool]:
    """The choice of the most samples that would fit by what they take at the least, and whether it is for
    want of samples that no more do. Raises UserError where not even the first does.
    """
    most = limit.most * (1 + 1e-12)  # sums of shares of a pass
    best = choose(replace(request, budget=1.0))
    if limit.floor(best.positions) > most:
        raise _too_small(request, limit, limit.floor(best.positions))
    low, high = 1, _bound(limit) + 1  # low fits, high does not
    ended = high > request.pool_size
    while high - low > 1:
        middle = (low + high) // 2
        try:
            choice = choose(replace(request, budget=float(middle)))
        except UserError:  # more than it can choose from: one sample it could, so fewer it can
            high, ended = middle, True
            continue
        if limit.floor(choice.positions) <= most:
            best, low = choice, middle
        else:
            high, ended = middle, False
    return best, ended


def _fits(request: Request[C], limit: Limit, most: Choice) -> Choice:
    """The choice of the most samples that does fit, of no more than these. Raises UserError where none does.

    The first n of a choice of more are mostly the choice of n: they tell which n is worth asking for.
    """
    choice = most
    while (taken := limit.cost(choice.positions)) > limit.most:
        rows = choice.positions
        fewer = next((n for n in range(len(rows) - 1, 0, -1) if limit.cost(rows[:n]) <= limit.most), 0)
        if not fewer:
            raise _too_small(request, limit, min(taken, limit.cost(rows[:1])))
        choice = choose(replace(request, budget=float(fewer)))
    return choice


def _too_small(request: Request[C], limit: Limit, takes: float) -> UserError:
    return UserError(
        f"{limit.option}: the first sample that selection={request.config.name} chooses takes {takes:.6g} "
        f"{limit.unit}, and {limit.most:.6g} are left; raise it"
    )


def _trained_alone(request: Request[C], choice: Choice, limit: Limit) -> Choice:
    """The choice without what cannot be trained on. Raises UserError where nothing is left of it."""
    trained = limit.least[choice.positions] > 0
    if trained.all():
        return choice
    out = f"{(~trained).sum():,} of the {len(trained):,} samples that selection={request.config.name} chose"
    why = "have no response within finetune.max_tokens"
    if not trained.any():
        raise UserError(
            f"{limit.option}: {out} {why}: nothing is left to train on; raise finetune.max_tokens"
        )
    after = choice.next_in_line[limit.least[choice.next_in_line] > 0]
    return replace(
        choice,
        positions=choice.positions[trained],
        reasons=[reason for reason, kept in zip(choice.reasons, trained, strict=True) if kept],
        values=None if choice.values is None else choice.values[trained],
        next_in_line=after,
        warnings=(*choice.warnings, f"{out} {why} and are left out: they would not be trained on"),
    )


def _not_filled(request: Request[C], limit: Limit, chosen: int, used: float) -> str:
    name, size = request.config.name, request.pool_size
    of = (
        f"the pool's {size:,} samples"
        if chosen == size
        else f"the {chosen:,} of {size:,} samples it can choose"
    )
    as_full = ", as selection=full would" if chosen == size else ""
    return (
        f"{limit.option} is more than {of} take: selection={name} took all{as_full}, with "
        f"{100 * used:.3g} % of the budget, and is not matched with what fills it; lower it"
    )


def _not_full(request: Request[C], limit: Limit, used: float) -> str:
    return (
        f"{limit.option}: selection={request.config.name} uses {100 * used:.3g} % of it, for one sample more "
        "would begin a step that takes too much, and is not matched with what fills it; a smaller "
        f"finetune.total_batch than {limit.steps} or more finetune.epochs come nearer"
    )


def _bound(limit: Limit) -> int:
    """The most samples that could fit: the cheapest ones."""
    return max(int(np.searchsorted(np.cumsum(np.sort(limit.least)), limit.most, side="right")), 1)
