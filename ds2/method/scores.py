"""Scores as everything in the method takes them: (N, R) whole numbers 0..K-1, -1 where unrated."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.base.checks import number_array
from ds2.base.errors import UserError


def check_scores(scores: Any, K: int, method: str) -> NDArray[np.int64]:
    """Scores as (N, R) int64 with -1 for unrated, masked ones among them; those between whole numbers
    (`refine` only) rounded.
    """
    if scores is None:
        raise TypeError("curate needs scores: (N,) integers in 0..K-1, -1 where unrated")
    if isinstance(scores, np.ma.MaskedArray):
        scores = np.where(scores.mask, np.int64(-1), scores.data)
    s = number_array("scores", scores)
    if s.ndim not in (1, 2) or s.size == 0:
        raise UserError(f"scores must be a non-empty (N,) or (N, R) array, got shape {s.shape}")
    s = s[:, None] if s.ndim == 1 else s
    if s.dtype.kind == "f":
        bad = np.argwhere(~np.isfinite(s))
        if bad.size:
            raise UserError(f"scores row {int(bad[0][0])} is NaN or infinite; mark unrated samples with -1")
        if (method != "refine" or s.shape[1] > 1) and (s != np.round(s)).any():
            raise TypeError("scores must be integers; round or compress ratings first")
    bad = np.argwhere(((s < 0) & (s != -1)) | (s > K - 1))
    if bad.size:
        n, r = bad[0]
        raise UserError(f"scores row {n} is {s[n, r]:g}, outside 0..{K - 1} (and not -1, unrated)")
    if s.shape[1] > 1 and method not in ("posterior", "refine"):
        raise UserError(
            f"method {method!r} takes one rater's scores, got {s.shape[1]} columns; several raters need "
            "method='refine' or 'posterior'"
        )
    if method != "none" and (s < 0).all():
        raise UserError("no sample is rated")
    return np.asarray(np.rint(s), dtype=np.int64)
