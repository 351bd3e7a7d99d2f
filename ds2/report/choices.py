"""How the choices of a run read for a person; which of them had a say, `ds2.config.stages` knows."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

NONE = "none"
"""Stands where a choice had no say: a random subset has no rater."""


def word(name: str, value: Hashable) -> str:
    """One choice: `0.1` as a budget is 10 % of the pool, `10000` so many samples."""
    if value is None:
        return NONE
    if name == "budget":
        budget = float(str(value))
        return f"{100 * budget:g} %" if budget < 1 else f"{budget:,.0f}"
    return str(value)


def in_words(choices: Mapping[str, Hashable]) -> dict[str, str]:
    """Each choice as a person reads it."""
    return {name: word(name, value) for name, value in choices.items()}
