"""Token cleaning (Pang et al., Token Cleaning, ICML 2025, arXiv 2502.01968): which response tokens to train.

For a response token x_t of any sample, with the loss l of the base model and of a reference model that was
fine-tuned on such data:

    s_t = l(x_t | x_<t; base) - l(x_t | x_<t; reference)

Of all tokens of the subset, ranked together, the share k of highest s_t is trained; the others are read and
carry no loss.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def keep_best(scores: NDArray[np.floating], share: float) -> NDArray[np.bool_]:
    """(T,) which tokens are kept: the `share` of highest score, at least one, earlier ones of equal score
    first; a token without a score (NaN) never is.
    """
    ranked = np.argsort(-np.where(np.isnan(scores), -np.inf, scores), kind="stable")
    known = int(np.count_nonzero(~np.isnan(scores)))
    kept = np.zeros(len(scores), dtype=np.bool_)
    kept[ranked[: min(known, max(1, round(share * known)))]] = True
    return kept
