"""How far raters agree with each other: quadratic-weighted kappa of pairs, and how far a sample's scores are
spread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds2.method.agreement import kappa_of_table

Scores = NDArray[np.int64]


@dataclass(frozen=True)
class Kappa:
    """Quadratic-weighted kappa with its 95 % bootstrap interval over samples."""

    value: float
    low: float
    high: float


def kappa(a: Scores, b: Scores, num_scores: int, *, resamples: int = 1000, seed: int = 0) -> Kappa:
    """Agreement of two raters on the same samples, a and b (N,) scores 0..K-1.

    Samples enter through their K x K table alone, so a resample of the samples is a multinomial draw of the
    table.
    """
    joint = np.bincount(a * num_scores + b, minlength=num_scores**2)
    draws = np.random.default_rng(seed).multinomial(len(a), joint / len(a), size=resamples)
    value, *drawn = kappa_of_table(np.stack([joint, *draws]).reshape(-1, num_scores, num_scores)).tolist()
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Kappa(value, float(low), float(high))


def spread_shares(scores: Mapping[str, Scores], num_scores: int) -> NDArray[np.float64]:
    """Share of samples whose highest and lowest score differ by 0, 1, ... K - 1, (K,)."""
    table = np.stack(list(scores.values()))
    return np.bincount(table.max(axis=0) - table.min(axis=0), minlength=num_scores) / table.shape[1]
