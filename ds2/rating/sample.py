"""The share of a pool that is rated: `rater.sample`.

Each sample's place in the draw is a hash of its id and the seed. So the same samples are asked about whatever
the order in which they come or are computed, and a larger share contains every smaller one: raising it pays
for the difference only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def drawn(ids: Sequence[str], share: float, seed: int) -> NDArray[np.bool_]:
    """Which samples are rated.

    Args:
        ids: (N,), unique.
        share: in (0, 1].

    Returns:
        (N,) with share x N, at least one, true.
    """
    chosen = np.zeros(len(ids), dtype=bool)
    if share == 1:
        return ~chosen
    places = [hashlib.sha256(f"{seed}:{identity}".encode()).digest() for identity in ids]
    order = sorted(range(len(ids)), key=places.__getitem__)
    chosen[order[: max(1, round(share * len(ids)))]] = True
    return chosen
