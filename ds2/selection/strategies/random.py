"""Uniformly at random, without replacement."""

from __future__ import annotations

import numpy as np

from ds2.config.selection import RandomSelectionConfig
from ds2.selection.filters import Eligible
from ds2.selection.request import Choice, Request


def choose(request: Request[RandomSelectionConfig]) -> Choice:
    """The first `budget` of one seeded permutation, so a smaller budget is a subset of a larger one."""
    eligible = Eligible(request)
    order = np.random.default_rng(request.seed).permutation(request.pool_size)
    positions = eligible.take(order).positions
    return Choice(positions, ["drawn at random"] * len(positions))
