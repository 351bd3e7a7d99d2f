"""By numbers that somebody else computed, such as LESS's influence scores (arXiv 2402.04333).

`selection.path` holds one number a row of the pool, in pool order (`.npy`, `.npz`, `.pt`), larger is
better. Ties by row.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ds2.base.errors import UserError
from ds2.base.number_files import read_score_file
from ds2.config.selection import PrecomputedSelectionConfig
from ds2.selection.request import Choice, Request
from ds2.selection.top import choose_top


def choose(request: Request[PrecomputedSelectionConfig]) -> Choice:
    """The `budget` largest numbers."""
    config, pool = request.config, request.pool
    numbers = read_score_file(Path(config.path).expanduser(), config.key, option="selection")
    if len(numbers) < pool.rows_read or (len(numbers) > pool.rows_read and not pool.limited):
        raise UserError(
            f"selection.path={config.path} holds {len(numbers)} numbers, the pool {pool.rows_read} rows; "
            "the file must have one a row, in pool order"
        )
    values = numbers[np.asarray(pool.rows)]
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise UserError(
            f"selection.path={config.path}: the number of {pool.named(int(bad[0]))} is {values[bad[0]]}"
        )
    if len(values) > 1 and float(np.ptp(values)) == 0:
        raise UserError(
            f"selection.path={config.path}: all {len(values)} numbers are {values[0]:g}: nothing to rank by"
        )
    return choose_top(request, values, lambda value: f"given {value:.4g}")
