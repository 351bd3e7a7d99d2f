"""Uniformly at random, without replacement."""

from __future__ import annotations

import numpy as np

from ds2.selection.request import Choice, Request, resolve_budget

NEEDS: frozenset[str] = frozenset()
SEEDED = True
BUDGETED = True


def choose(request: Request) -> Choice:
    """The first `budget` of one seeded permutation, so a smaller budget is a subset of a larger one."""
    count = resolve_budget(request.budget, request.pool_size, pool_size=request.pool_size)
    order = np.random.default_rng(request.seed).permutation(request.pool_size)
    return Choice(order[:count], ["drawn at random"] * count)
