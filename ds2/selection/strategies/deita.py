"""Quality times complexity, then greedy de-duplication: DEITA (arXiv 2312.15685, section 3).

    evol_n = q_n               the score alone, or
           = (q_n + 1) c_n     with a complexity c of the pool's own (scores start at 0, which would hide it)
    walk the samples by evol, descending; take n if its cosine similarity to everything taken is below 0.9

until the budget is full. Equal values are ordered by row. `selection.score=curated` applies the paper's
curation to it (its Table 5).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import UserError
from ds2.config.selection import DeitaSelectionConfig
from ds2.method.spread import keep_apart
from ds2.selection.filters import NEXT, Eligible
from ds2.selection.request import Choice, Request
from ds2.selection.scores import refuse_one_level, sample_scores


def choose(request: Request[DeitaSelectionConfig]) -> Choice:
    """The `budget` first samples of the walk."""
    config = request.config
    if not 0 < config.similarity <= 1:
        raise UserError(f"selection.similarity={config.similarity:g} must be a cosine similarity in (0, 1]")
    times = None if config.complexity is None else _complexity(request, config.complexity)
    values = sample_scores(request, times=times)
    refuse_one_level(values, request)
    eligible = Eligible(request, np.isfinite(values))
    candidates = np.flatnonzero(eligible.mask)
    order = candidates[np.argsort(-values[candidates], kind="stable")]
    positions = keep_apart(
        order,
        request.graph,
        1.0 - config.similarity,
        limit=eligible.count,
        embeddings=request.embeddings,
        admits=eligible.limits.admit if eligible.limits else None,
    )
    if len(positions) < eligible.count:
        raise UserError(_too_few(len(positions), eligible, config))
    taken = set(positions.tolist())
    left = [n for n in order[: len(taken) + NEXT].tolist() if n not in taken][:NEXT]
    reasons = [f"value {v:.4g}, no taken sample within {config.similarity:g}" for v in values[positions]]
    return Choice(positions, reasons, values[positions], np.array(left, dtype=np.int64))


def _complexity(request: Request[DeitaSelectionConfig], column: str) -> NDArray[np.float64]:
    """(N,) the column's numbers; NaN where it has none."""
    values = np.full(request.pool_size, np.nan)
    for i, value in enumerate(request.pool.column(column)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(f"selection.complexity={column}: row {i} holds {value!r}, not a number")
        values[i] = value
    return values


def _too_few(count: int, eligible: Eligible, config: DeitaSelectionConfig) -> str:
    also = " and the filters by source" if eligible.limits else ""
    return (
        f"budget.samples={eligible.count}: selection.similarity={config.similarity:g}{also} leave {count} "
        "samples; raise the similarity, or lower the budget"
    )
