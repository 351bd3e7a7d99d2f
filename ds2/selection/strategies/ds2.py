"""The paper's order: score, then long-tail score, both descending (section 4.3), and its ablations.

`selection.score` says which score is meant, `selection.diversity=false` breaks ties by a seeded shuffle
instead of the long-tail score; remaining ties by row. Samples without a score cannot be chosen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ds2.config.selection import Ds2SelectionConfig
from ds2.method.ranking import select
from ds2.selection.filters import Eligible
from ds2.selection.request import Choice, Request
from ds2.selection.scores import sample_scores


def choose(request: Request[Ds2SelectionConfig]) -> Choice:
    """The `budget` best samples."""
    config = request.config
    scores = sample_scores(request)
    scored = np.isfinite(scores)
    eligible = Eligible(request, scored)
    if config.diversity:
        ties = request.curation["long_tail"].to_numpy(dtype=np.float64)
    else:
        ties = np.random.default_rng(request.seed).random(request.pool_size)
    candidates = np.flatnonzero(eligible.mask)
    taken = eligible.take(candidates[select(scores[candidates], ties[candidates], len(candidates))])
    reasons = _reasons(scores, taken.positions, candidates, config)
    return Choice(taken.positions, reasons, scores[taken.positions], taken.next_in_line)


def _reasons(
    scores: NDArray[np.float64],
    positions: NDArray[np.int64],
    candidates: NDArray[np.int64],
    config: Ds2SelectionConfig,
) -> list[str]:
    """Levels above the last one entered are taken whole; the last is cut by the tie-break."""
    last = scores[positions[-1]]
    cut = int((scores[candidates] == last).sum()) > int((scores[positions] == last).sum())
    rule = "rarest first" if config.diversity else "drawn at random"
    name = config.score.value.replace("_", " ")
    return [f"{name} {scores[p]:.4g}" + (f", {rule}" if cut and scores[p] == last else "") for p in positions]
