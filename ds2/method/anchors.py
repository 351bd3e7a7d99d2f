"""Whom to ask: a hundred samples whose human scores tell most, drawn so that what they tell is unbiased.

Symbols: N samples n; orders o (higher is chosen first) and m_on in [0, 1] the share of sample n among the
best tenth by o, ties sharing evenly; q_n the draw's weights, pi_n = min(1, c q_n) the probability that n is
asked, 1 / pi_n its design weight.

    q = (1 - DECISIVE - COMMON) spread + DECISIVE d / sum d + COMMON e / sum e
    spread_n ~ 1 / sqrt(number of samples with n's score)     every score is asked about, rare ones too
    d_n = max_o m_on - min_o m_on                              where the answer moves the choice of an order
    e_n = mean_o m_on                                          what any order would choose

c makes the pi sum to the number asked. Rows are drawn systematically along the pool sorted by score and
first order: exactly that many, each with its pi, evenly over the scores. For any value v, sum over those
asked of v_n / pi_n is unbiased for the pool's sum (Horvitz and Thompson, JASA 47, 1952); means are ratios
of two such sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds2.base.checks import number_array, number_within, whole_number
from ds2.base.errors import UserError
from ds2.method.stated import FEWEST_ANCHORS

Array = NDArray[np.float64]
GIVEN = "given scores"
"""Name of the order that every judgement compares with."""
DECISIVE = 0.4
COMMON = 0.2


@dataclass(frozen=True, eq=False)
class AnchorDraw:
    """`rows` (n,) in random order, so that a person who stops early leaves a random part; `weight` (n,)
    design weights 1 / pi.
    """

    rows: NDArray[np.int64]
    weight: Array


def draw_anchors(
    scores: ArrayLike,
    *,
    n: int = 100,
    orders: Mapping[str, ArrayLike] | None = None,
    share: float = 0.1,
    seed: int = 0,
) -> AnchorDraw:
    """Choose n samples to be scored by a person.

    scores: (N,) the rater's, in 0..K-1, -1 where unrated (such samples are asked about too, as a level of
    their own). orders: name -> (N,) other orders of selection that the anchors should judge. share: of the
    pool that is to be selected. UserError for fewer than 20 anchors or more than samples.
    """
    s = _scores(scores)
    n = whole_number("n", n, FEWEST_ANCHORS)
    if n > len(s):
        raise UserError(f"cannot ask about {n} of {len(s)} samples")
    number_within("share", share, 1 / len(s), 1)
    everyone = check_orders(s, orders)
    members = np.stack([membership(o, share) for o in everyone.values()])
    pi = inclusion(s, members, n)
    along = next((o for name, o in everyone.items() if name != GIVEN), np.zeros(len(s)))
    rng = np.random.default_rng([whole_number("seed", seed, 0), 17])
    rows = rng.permutation(systematic(pi, np.lexsort((along, s)), rng))
    return AnchorDraw(rows, 1 / pi[rows])


def _scores(scores: ArrayLike) -> NDArray[np.int64]:
    s = number_array("scores", scores)
    if s.ndim != 1 or not s.size:
        raise UserError(f"anchors are drawn for one rater's scores, (N,), got shape {s.shape}")
    if not (np.isfinite(s).all() and (s == np.round(s)).all() and (s >= -1).all()):
        raise UserError("scores must be whole numbers of at least 0, -1 where unrated")
    return s.astype(np.int64)


def check_orders(scores: NDArray[np.int64], orders: Mapping[str, ArrayLike] | None) -> dict[str, Array]:
    """The given scores first (unrated ones last of all), then the other orders, (N,) each."""
    out = {GIVEN: scores.astype(np.float64)}
    for name, order in (orders or {}).items():
        o = number_array(f"order {name!r}", order).astype(np.float64)
        if o.shape != scores.shape or not np.isfinite(o).all():
            raise UserError(f"order {name!r} must be {len(scores)} finite numbers, got shape {o.shape}")
        if name == GIVEN:
            raise UserError(f"an order may not be called {GIVEN!r}: the rater's own scores are")
        out[name] = o
    return out


def membership(order: ArrayLike, share: float) -> Array:
    """Each sample's share among the best `share` by an order, (N,) in [0, 1]; equal samples divide what is
    left evenly.
    """
    o = np.asarray(order, dtype=np.float64)
    _, which, count = np.unique(-o, return_inverse=True, return_counts=True)
    room = share * len(o) - (np.cumsum(count) - count)
    return np.asarray(np.clip(room / count, 0, 1)[which])


def inclusion(scores: NDArray[np.int64], members: Array, n: int) -> Array:
    """pi, (N,), summing to n. members (orders, N): m."""
    _, which, count = np.unique(scores, return_inverse=True, return_counts=True)
    spread = (1 / np.sqrt(count))[which]
    decisive, common = members.max(axis=0) - members.min(axis=0), members.mean(axis=0)
    parts = [(COMMON, common), (DECISIVE if decisive.any() else 0.0, decisive)]
    q = (1 - sum(size for size, _ in parts)) * spread / spread.sum()
    for size, part in parts:
        q += size * part / max(part.sum(), 1e-12)
    certain = np.zeros(len(q), dtype=bool)
    while True:
        free = q[~certain].sum()
        pi = np.where(certain, 1.0, q * (n - certain.sum()) / max(free, 1e-300))
        beyond = (pi >= 1) & ~certain
        if not beyond.any():
            return np.asarray(pi)
        certain |= beyond


def systematic(pi: Array, order: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """round(sum pi) rows, row n with probability pi_n, evenly along `order`: one random start, steps of 1
    in the sum of pi.
    """
    reached = np.cumsum(pi[order])
    points = rng.random() + np.arange(round(float(reached[-1])))
    return np.asarray(order[np.minimum(np.searchsorted(reached, points, side="right"), len(pi) - 1)])
