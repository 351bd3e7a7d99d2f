"""How the choices of a run read for a person; which of them had a say, `ds2.config.stages` knows."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from ds2.config.stages import TOKENS, amount

NONE = "none"
"""Stands where a choice had no say: a random subset has no rater."""


def word(name: str, value: Hashable) -> str:
    """One choice: of budgets, `0.1` is 10 % of the pool, `10000` so many samples, `2M_tokens` tokens,
    `1e18_flops` floating-point operations."""
    if value is None:
        return NONE
    if name == "budget":
        kind, budget = amount(value)
        if kind:
            number, _, unit = str(value).partition("_")
            return f"{number} {'tokens' if unit == TOKENS[1:] else 'FLOPs'}"
        return f"{100 * budget:g} %" if budget < 1 else f"{budget:,.0f}"
    return str(value)


def in_words(choices: Mapping[str, Hashable]) -> dict[str, str]:
    """Each choice as a person reads it."""
    return {name: word(name, value) for name, value in choices.items()}
