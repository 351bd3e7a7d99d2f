"""What a person's scores of some samples say: of the rater, of evidence beside its score, of the orders one
could select by.

What an order would select is estimated from the anchors that it selects (`anchor_estimates`). A gain counts
as shown where its one-sided 90 % bound, divided among the orders tried (Bonferroni), is above 0. What is
not shown is refused: the choice stays with the given scores. Evidence is tried in `anchor_evidence`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds2.base.checks import number_array, number_within, whole_number
from ds2.base.errors import UserError
from ds2.method.anchor_estimates import Estimate, weighted_mean, weighted_share
from ds2.method.anchor_evidence import DOUBT, EvidenceTest, try_evidence
from ds2.method.anchors import GIVEN, check_orders, membership
from ds2.method.stated import check_anchors, transition_from_anchors

Array = NDArray[np.float64]
Matrix = list[list[float | None]]


@dataclass(frozen=True)
class RaterJudgement:
    """How a rater errs, by people. K score levels."""

    num_anchors: int
    """Those that the rater scored too."""
    accuracy: Estimate
    """P(given = true score) over the pool."""
    bias: Estimate
    """Mean of given less human score, in points: above 0, the rater is lenient."""
    transition: list[list[float]]
    """(K, K) T, P(rated j | human i), with the shape of `stated` mixed in: to hand to `curate`."""
    transition_low: Matrix
    """(K, K) ends of the 95 % intervals of the plain shares; None in rows without anchors."""
    transition_high: Matrix

    def entry(self, human: int, given: int) -> Estimate:
        """T[human, given] with the interval of the plain share, as far widened as holds it: `transition` has
        the shape of a stated matrix mixed in.
        """
        share = self.transition[human][given]
        low, high = self.transition_low[human][given], self.transition_high[human][given]
        return Estimate(
            share, None if low is None else min(low, share), None if high is None else max(high, share)
        )


@dataclass(frozen=True)
class OrderEstimate:
    """What an order would select."""

    name: str
    top_mean: Estimate | None
    """Mean human score of the selected share, in score levels; None where no anchor is in it."""
    gain: Estimate | None
    """Difference to what the given scores select; None for those."""
    shown: bool
    """The gain's one-sided 90 % bound, divided among the orders tried, is above 0."""


@dataclass(frozen=True)
class Judgement:
    """What the anchors say."""

    rater: RaterJudgement
    evidence: list[EvidenceTest]
    """Each column beside the given score."""
    orders: list[OrderEstimate]
    """The given scores first."""
    share: float
    """Of the pool, selected."""
    likeliest: str
    """The order with the highest estimate, shown or not."""
    chosen: str
    """The best order whose gain is shown, else the given scores."""


def judge_anchors(
    scores: ArrayLike,
    anchors: Mapping[int, int],
    weight: ArrayLike | None = None,
    *,
    num_scores: int = 6,
    orders: Mapping[str, ArrayLike] | None = None,
    evidence: Mapping[str, ArrayLike] | None = None,
    share: float = 0.1,
) -> Judgement:
    """Judge a rater, evidence and orders by people's scores.

    scores: (N,) the rater's in 0..K-1, -1 unrated. anchors: {row: human score 0..K-1}, at least 20. weight:
    the anchors' design weights, in the mapping's order; 1 each where left out (a plain random draw).
    orders, evidence: name -> (N,). share: selected. UserError for anchors that cannot serve
    (`stated.check_anchors`) or that are all of unrated samples.

    An order that has read the anchors must stand here with what it would be had they not been asked, each
    for itself: its estimate would praise its own memory.
    """
    K = whole_number("num_scores", num_scores, 2)
    number_within("share", share, 0, 1)
    s = check_given(scores, K)
    check_anchors(anchors, len(s), K)
    rows = np.array(list(anchors), dtype=np.int64)
    human = np.array(list(anchors.values()), dtype=np.float64)
    w = check_weights(weight, len(rows))
    rater = judge_rater(s[rows], human, w, K)
    judged = _judge_orders(check_orders(s, orders), rows, human, w, share)
    likeliest = max(judged, key=_height)
    best = max((o for o in judged if o.shown), key=_height, default=judged[0])
    return Judgement(
        rater=rater,
        evidence=try_evidence(given_or_mean(s), rows, human, check_columns(evidence, len(s))).tests,
        orders=judged,
        share=share,
        likeliest=likeliest.name,
        chosen=best.name,
    )


def check_given(scores: ArrayLike, K: int) -> NDArray[np.int64]:
    """One rater's whole scores, (N,) int64."""
    s = number_array("scores", scores)
    if s.ndim != 1 or ((s < -1) | (s >= K)).any():
        raise UserError(f"scores must be (N,) whole numbers in 0..{K - 1}, -1 where unrated")
    return s.astype(np.int64)


def check_weights(weight: ArrayLike | None, count: int) -> Array:
    """Design weights (n,); 1 each where there are none."""
    w = np.ones(count) if weight is None else number_array("weight", weight).astype(np.float64)
    if w.shape != (count,) or not (np.isfinite(w).all() and (w > 0).all()):
        raise UserError(f"weight must be {count} numbers above 0, one an anchor")
    return w


def check_columns(evidence: Mapping[str, ArrayLike] | None, N: int) -> dict[str, Array]:
    """Columns of evidence, (N,) finite each."""
    out = {}
    for name, values in (evidence or {}).items():
        x = number_array(f"evidence {name!r}", values).astype(np.float64)
        if x.shape != (N,) or not np.isfinite(x).all():
            raise UserError(f"evidence {name!r} must be {N} finite numbers, got shape {x.shape}")
        out[name] = x
    return out


def given_or_mean(scores: NDArray[np.int64]) -> Array:
    """Given scores, (N,), unrated samples at the mean of the rated."""
    return np.where(scores >= 0, scores, scores[scores >= 0].mean()).astype(np.float64)


def judge_rater(given: NDArray[np.int64], human: Array, weight: Array, K: int) -> RaterJudgement:
    """The rater by its anchors: given (n,), -1 unrated; human (n,) in 0..K-1; design weights (n,).

    UserError where it scored fewer than three of them.
    """
    rated = given >= 0
    if rated.sum() < 3:
        raise UserError("the anchors are of samples that the rater did not score: nothing can be said of it")
    given, human, w = given[rated], human[rated], weight[rated]
    off = weighted_mean(np.ones(len(given)), given - human, w)
    assert off is not None
    known = human.astype(np.int64)
    low: Matrix = [[None] * K for _ in range(K)]
    high: Matrix = [[None] * K for _ in range(K)]
    for i in np.unique(known):
        of = known == i
        for j in range(K):
            share = weighted_share(given[of] == j, w[of])
            low[i][j], high[i][j] = share.low, share.high
    return RaterJudgement(
        num_anchors=int(rated.sum()),
        accuracy=weighted_share(given == known, w),
        bias=off.estimate(),
        transition=transition_from_anchors(known, given, K, w).tolist(),
        transition_low=low,
        transition_high=high,
    )


def _judge_orders(
    orders: Mapping[str, Array], rows: NDArray[np.int64], human: Array, w: Array, share: float
) -> list[OrderEstimate]:
    means = {name: weighted_mean(membership(o, share)[rows], human, w) for name, o in orders.items()}
    base, tried = means[GIVEN], max(len(orders) - 1, 1)
    judged = []
    for name, mean in means.items():
        gain = None if mean is None or base is None or name == GIVEN else mean.less(base)
        # The error is 0 where everyone that could be selected was asked.
        shown = gain is not None and gain.bound(DOUBT / tried) > 1e-9
        judged.append(
            OrderEstimate(
                name,
                None if mean is None else mean.estimate(),
                None if gain is None else gain.estimate(),
                shown,
            )
        )
    return judged


def _height(order: OrderEstimate) -> float:
    return -np.inf if order.top_mean is None else order.top_mean.value


def order_named(orders: Sequence[OrderEstimate], name: str) -> OrderEstimate:
    """The estimate of that order."""
    return next(order for order in orders if order.name == name)
