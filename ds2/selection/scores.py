"""The score that a strategy ranks by.

given           s_n, as the rater said
curated         the curation artifact's integer score
posterior mean  E[y_n | everything], the curation artifact's, where its method has a posterior
length-partialled: s_n - (a + b log(1 + characters_n)), a and b by least squares over the scored samples
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import UserError
from ds2.config import Score, SelectionConfig
from ds2.config.selection import ScoredSelectionConfig
from ds2.selection.request import Request


def sample_scores(
    request: Request[ScoredSelectionConfig], *, times: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """(N,) the configured score; NaN where a sample has none.

    Args:
        times: (N,) factor f; the result is then (s + 1) f, so that a score of 0 does not hide it.

    Raises:
        UserError: no sample has such a score.
    """
    config = request.config
    if config.score is Score.given:
        scores = np.asarray(request.scores, dtype=np.float64)
    elif config.score is Score.curated:
        scores = request.curation["curated"].to_numpy(dtype=np.float64)
    else:
        scores = request.curation["posterior_mean"].to_numpy(dtype=np.float64)
    scores = np.where(np.isfinite(scores) & (scores >= 0), scores, np.nan)
    if not np.isfinite(scores).any():
        needs = " (curation=posterior gives it)" if config.score is Score.posterior_mean else ""
        raise UserError(f"no sample has the score selection.score={config.score.value}{needs}")
    if times is not None:
        scores = (scores + 1) * times
    return without_length(scores, request) if config.length_partialled else scores


def without_length(scores: NDArray[np.float64], request: Request[SelectionConfig]) -> NDArray[np.float64]:
    """Residuals of the scores on log length."""
    lengths = np.array([len(text) for text in request.pool.contents()], dtype=np.float64)
    scored = np.isfinite(scores)
    x, y = np.log1p(lengths[scored]), scores[scored]
    centred = x - x.mean()
    spread = float(centred @ centred)
    slope = float(centred @ (y - y.mean())) / spread if spread > 0 else 0.0
    residual = np.full_like(scores, np.nan)
    residual[scored] = y - y.mean() - slope * centred
    return residual


def refuse_one_level(scores: NDArray[np.float64], request: Request[SelectionConfig]) -> None:
    """Raises UserError where all samples that have a score have the same one: there is nothing to rank."""
    known = scores[np.isfinite(scores)]
    if len(known) > 1 and float(np.ptp(known)) == 0:
        raise UserError(
            f"all {len(known)} scored samples have the score {known[0]:g}: selection={request.config.name} "
            "has nothing to rank by; use selection=random, or another rater"
        )
