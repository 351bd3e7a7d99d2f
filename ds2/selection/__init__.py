"""Selection: one small module a strategy, one signature, chosen by `selection.strategy`.

A strategy module has

    NEEDS: frozenset[str]      the stages whose artifacts it reads beside the pool ("curate")
    SEEDED: bool               whether `seed` can change what it chooses
    BUDGETED: bool             whether the budget applies
    def choose(request: Request) -> Choice

and is imported when it is asked for.
"""

from __future__ import annotations

import importlib
from typing import Protocol, cast

from ds2.errors import UserError
from ds2.selection.request import Choice, Request, check_budget, resolve_budget

__all__ = ["STRATEGIES", "Choice", "Request", "Strategy", "check_budget", "resolve_budget", "strategy"]

STRATEGIES = ("ds2", "full", "random")


class Strategy(Protocol):
    """What a strategy module offers."""

    NEEDS: frozenset[str]
    SEEDED: bool
    BUDGETED: bool

    def choose(self, request: Request) -> Choice:
        """The chosen positions, best first."""


def strategy(name: str) -> Strategy:
    """The module of a strategy. Raises UserError for an unknown name."""
    if name not in STRATEGIES:
        raise UserError(f"selection.strategy={name} is unknown; there are: {', '.join(STRATEGIES)}")
    return cast(Strategy, importlib.import_module(f"ds2.selection.{name}"))
