"""The paper's order: score, then long-tail score, both descending (section 4.3), and its ablations.

`selection.score` says which score is meant, `selection.diversity=false` breaks ties by a seeded shuffle instead of the
long-tail score. Samples without a score cannot be chosen.
"""

from __future__ import annotations

import numpy as np

from ds2.config import Score
from ds2.selection.ranking import select
from ds2.selection.request import Choice, Request, resolve_budget

NEEDS: frozenset[str] = frozenset({"curate"})
SEEDED = True
BUDGETED = True


def choose(request: Request) -> Choice:
    """The `budget` best samples."""
    table = request.curation
    assert table is not None, "the chain gives what NEEDS names"
    column = "curated" if request.config.score is Score.curated else "posterior_mean"
    scores = table[column].to_numpy(dtype=np.float64)
    candidates = np.flatnonzero(np.isfinite(scores) & (scores >= 0))
    count = resolve_budget(request.budget, len(candidates), pool_size=request.pool_size)
    if request.config.diversity:
        ties = table["long_tail"].to_numpy(dtype=np.float64)
    else:
        ties = np.random.default_rng(request.seed).random(request.pool_size)
    positions = candidates[select(scores[candidates], ties[candidates], count)]
    return Choice(positions, _reasons(scores, positions, candidates, request))


def _reasons(
    scores: np.ndarray, positions: np.ndarray, candidates: np.ndarray, request: Request
) -> list[str]:
    """Levels above the last one entered are taken whole; the last is cut by the tie-break."""
    last = scores[positions[-1]]
    cut = int((scores[candidates] == last).sum()) > int((scores[positions] == last).sum())
    rule = "rarest first" if request.config.diversity else "drawn at random"
    name = request.config.score.value.replace("_", " ")
    return [f"{name} {scores[p]:.4g}" + (f", {rule}" if cut and scores[p] == last else "") for p in positions]
