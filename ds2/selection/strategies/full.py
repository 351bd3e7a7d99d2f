"""The whole pool, in its order."""

from __future__ import annotations

import numpy as np

from ds2.config import SelectionConfig
from ds2.selection.request import Choice, Request


def choose(request: Request[SelectionConfig]) -> Choice:
    """Every sample."""
    return Choice(np.arange(request.pool_size), ["the whole pool"] * request.pool_size)
