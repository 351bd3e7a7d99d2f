"""The whole pool, in its order."""

from __future__ import annotations

import numpy as np

from ds2.config import SelectionConfig
from ds2.selection.request import Choice, Request

CONFIG = SelectionConfig
NEEDS: frozenset[str] = frozenset()


def budgeted(config: SelectionConfig) -> bool:
    """Never."""
    return False


def seeded(config: SelectionConfig) -> bool:
    """Never."""
    return False


def choose(request: Request) -> Choice:
    """Every sample."""
    return Choice(np.arange(request.pool_size), ["the whole pool"] * request.pool_size)
