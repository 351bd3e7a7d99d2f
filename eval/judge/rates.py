"""From judgements to rates with intervals.

Outcome y is 1 for a win of the first model, 1/2 for a tie, 0 for a loss. The length-controlled rate asks what
the share of wins would be if both models wrote answers of one length: with x = tanh(extra length / its
standard deviation), fit P(y) = s(a + b x), s the logistic function, and report s(a). Intervals: bootstrap
over prompts (a prompt's turns stay together), the middle 95 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

RIDGE = 1e-3
"""Keeps a and b finite where one model wins everything."""
NEWTON_STEPS = 60


def rates(
    outcomes: Sequence[int], extra_length: Sequence[int], prompts: Sequence[str], *, resamples: int, seed: int
) -> dict[str, Any]:
    """Win, tie and loss, win rate (ties half) and length-controlled win rate, 0..1, with 95 % intervals (None
    without resamples).

    `outcomes` 1, 0 or -1, `extra_length` in characters, `prompts` the prompt that each judgement belongs to.
    """
    points = np.asarray(outcomes, dtype=np.float64)
    length = _squash(np.asarray(extra_length, dtype=np.float64))
    weights = _resampled_weights(prompts, resamples, seed)
    table = {}
    for name, values in (
        ("win", points > 0),
        ("tie", points == 0),
        ("loss", points < 0),
        ("win_rate", (points + 1) / 2),
    ):
        shares = weights @ values.astype(np.float64) / weights.sum(axis=1)
        table[name] = _with_interval(shares)
    table["length_controlled_win_rate"] = _with_interval(length_controlled((points + 1) / 2, length, weights))
    return {**table, "judgements": len(points), "prompts": len(set(prompts))}


def length_controlled(
    y: NDArray[np.float64], x: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """s(a) of the weighted logistic fit, one for each row of `weights` (R, n)."""
    a, b = np.zeros(len(weights)), np.zeros(len(weights))
    for _ in range(NEWTON_STEPS):
        p = expit(a[:, None] + b[:, None] * x)
        residual, curvature = weights * (y - p), weights * p * (1 - p)
        gradient_a, gradient_b = residual.sum(axis=1) - RIDGE * a, residual @ x - RIDGE * b
        h_aa, h_ab = curvature.sum(axis=1) + RIDGE, curvature @ x
        h_bb = curvature @ (x * x) + RIDGE
        determinant = h_aa * h_bb - h_ab**2
        a = a + np.clip((h_bb * gradient_a - h_ab * gradient_b) / determinant, -1, 1)
        b = b + np.clip((h_aa * gradient_b - h_ab * gradient_a) / determinant, -1, 1)
    return expit(a)


def _resampled_weights(prompts: Sequence[str], resamples: int, seed: int) -> NDArray[np.float64]:
    """(1 + resamples, n): how often each judgement counts; the first row counts each once."""
    names, member = np.unique(np.asarray(prompts), return_inverse=True)
    draws = np.random.default_rng(seed).multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=resamples
    )
    return np.vstack([np.ones(len(member)), draws[:, member]])


def _with_interval(values: NDArray[np.float64]) -> dict[str, float | None]:
    """The value and the middle 95 % of its resamples; None where there are none."""
    if len(values) == 1:
        return {"value": float(values[0]), "low": None, "high": None}
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return {"value": float(values[0]), "low": float(low), "high": float(high)}


def _squash(extra: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = extra.std()
    return np.tanh(extra / spread) if spread > 0 else np.zeros_like(extra)
