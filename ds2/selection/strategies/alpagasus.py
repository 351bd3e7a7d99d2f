"""The best raw scores: AlpaGasus (arXiv 2307.08701).

With a threshold, every sample whose score reaches it, as AlpaGasus does (4.5 of 5 there); without one, the
`budget` best. Equal scores are ordered by a seeded shuffle, the same for every budget.
`selection.score=curated` applies the paper's curation to it (its Table 5).
"""

from __future__ import annotations

import numpy as np

from ds2.config.selection import AlpagasusSelectionConfig
from ds2.selection.request import Choice, Request
from ds2.selection.scores import refuse_one_level, sample_scores
from ds2.selection.top import choose_top


def choose(request: Request[AlpagasusSelectionConfig]) -> Choice:
    """The `budget` best samples, or all that reach the threshold."""
    config = request.config
    scores = sample_scores(request)
    allowed, that = np.isfinite(scores), "that have a score"
    if config.threshold is None:
        refuse_one_level(scores, request)
    else:
        allowed &= scores >= config.threshold
        that = f"that reach selection.threshold={config.threshold:g}"
    name = config.score.value.replace("_", " ")
    ties = np.random.default_rng(request.seed).random(request.pool_size)
    return choose_top(
        request,
        scores,
        lambda value: f"{name} score {value:.4g}",
        allowed=allowed,
        that=that,
        ties=ties,
        everything=config.threshold is not None,
    )
