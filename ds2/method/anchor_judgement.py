"""What a person's scores of some samples say: of the rater, of its neighbours, of the orders one could
select by.

Symbols: anchors n with human score h_n, given score s_n, design weight w_n = 1 / pi_n; m_on as in `anchors`.

    mean of the best tenth by o      mu_o = sum w m_o h / sum w m_o
    its variance                     sum (1 - pi) (w m_o (h - mu_o))^2 f / (sum w m_o)^2,
                                     f = k / (k - 1), k anchors with m_o > 0

A difference of two orders has the variance of the difference of those terms, anchor by anchor: what both
select cancels. Intervals are Student's with (sum w m)^2 / sum (w m)^2 - 1 degrees of freedom. Shares
(accuracy, rows of T) have Wilson's interval at the effective number of anchors, (sum w)^2 / sum w^2.

A gain counts as shown where its one-sided 90 % bound, divided among the orders tried (Bonferroni), is above
0. What is not shown is refused: the choice stays with the given scores. Evidence beside the given score is
tried in `anchor_evidence`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from ds2.base.checks import number_array, number_within, whole_number
from ds2.base.errors import UserError
from ds2.method.anchor_evidence import DOUBT, EvidenceTest, try_evidence
from ds2.method.anchors import GIVEN, check_orders, membership
from ds2.method.stated import check_anchors, transition_from_anchors

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; NaN where too few anchors tell."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class OrderEstimate:
    """What an order would select."""

    name: str
    top_mean: Estimate
    """Mean human score of the selected share, in score levels."""
    gain: Estimate | None
    """Difference to what the given scores select; None for those."""
    shown: bool
    """The gain's one-sided 90 % bound, divided among the orders tried, is above 0."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """What the anchors say."""

    num_anchors: int
    accuracy: Estimate
    """P(given = true score) over the pool."""
    bias: Estimate
    """Mean of given less human score, in points: above 0, the rater is lenient."""
    transition: Array
    """(K, K) T with the shape of `stated` mixed in: to hand to `curate`."""
    transition_low: Array
    transition_high: Array
    """(K, K) ends of the 95 % intervals of the plain shares; NaN in rows without anchors."""
    evidence: list[EvidenceTest]
    orders: list[OrderEstimate]
    likeliest: str
    """The order with the highest estimate, shown or not."""
    chosen: str
    """The best order whose gain is shown, else the given scores."""
    anchored: Array
    """(N,) the given score moved by the evidence shown, in expected human score; the given scores where
    none is.
    """
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Everything but `anchored`: plain values, ready for JSON."""
        plain = {key: value for key, value in asdict(self).items() if key != "anchored"}
        for key in ("transition", "transition_low", "transition_high"):
            plain[key] = [[None if np.isnan(x) else round(float(x), 6) for x in row] for row in plain[key]]
        return plain


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
    """
    K = whole_number("num_scores", num_scores, 2)
    number_within("share", share, 0, 1)
    s = number_array("scores", scores)
    if s.ndim != 1 or ((s < -1) | (s >= K)).any():
        raise UserError(f"scores must be (N,) whole numbers in 0..{K - 1}, -1 where unrated")
    s = s.astype(np.int64)
    check_anchors(anchors, len(s), K)
    rows = np.array(list(anchors), dtype=np.int64)
    human = np.array(list(anchors.values()), dtype=np.float64)
    w = _weights(weight, len(rows))
    if (s[rows] >= 0).sum() < 3:
        raise UserError("the anchors are of samples that the rater did not score: nothing can be said of it")
    everyone = check_orders(s, orders)
    judged = [
        _judge_order(name, o, everyone[GIVEN], rows, human, w, share, len(everyone))
        for name, o in everyone.items()
    ]
    tests, anchored = try_evidence(
        s, rows, human, {k: _column(k, v, len(s)) for k, v in (evidence or {}).items()}
    )
    accuracy, bias = _rater(s[rows], human, w)
    likeliest = max(judged, key=lambda o: o.top_mean.value)
    shown = [o for o in judged if o.shown]
    chosen = max(shown, key=lambda o: o.top_mean.value).name if shown else GIVEN
    low, high = _transition_interval(s[rows], human.astype(np.int64), w, K)
    return Judgement(
        num_anchors=len(rows),
        accuracy=accuracy,
        bias=bias,
        transition=transition_from_anchors(human.astype(np.int64), s[rows], K, w),
        transition_low=low,
        transition_high=high,
        evidence=tests,
        orders=judged,
        likeliest=likeliest.name,
        chosen=chosen,
        anchored=anchored,
        verdict=_verdict(len(rows), accuracy, tests, judged, likeliest.name, chosen, share),
    )


def _weights(weight: ArrayLike | None, count: int) -> Array:
    w = np.ones(count) if weight is None else number_array("weight", weight).astype(np.float64)
    if w.shape != (count,) or not (np.isfinite(w).all() and (w > 0).all()):
        raise UserError(f"weight must be {count} numbers above 0, one an anchor")
    return w


def _column(name: str, values: ArrayLike, N: int) -> Array:
    x = number_array(f"evidence {name!r}", values).astype(np.float64)
    if x.shape != (N,) or not np.isfinite(x).all():
        raise UserError(f"evidence {name!r} must be {N} finite numbers, got shape {x.shape}")
    return x


def mean_terms(members: Array, human: Array, weight: Array) -> tuple[float, Array, float]:
    """mu, each anchor's term of its error (n,) and the degrees of freedom. members (n,): m of the anchors."""
    mass = weight * members
    total = mass.sum()
    if total <= 0:
        return float("nan"), np.zeros(len(human)), 0.0
    mu = float((mass * human).sum() / total)
    counted = int((mass > 0).sum())
    spread = np.sqrt(np.clip(1 - 1 / weight, 0, 1)) if (weight > 1).any() else 1.0
    terms = spread * mass * (human - mu) / total * np.sqrt(counted / max(counted - 1, 1))
    return mu, terms, float(total**2 / (mass**2).sum()) - 1


def _interval(value: float, terms: Array, freedom: float) -> Estimate:
    if freedom < 1:
        return Estimate(value, float("nan"), float("nan"))
    half = float(stdtrit(freedom, 0.975)) * float(np.sqrt((terms**2).sum()))
    return Estimate(value, value - half, value + half)


def _judge_order(
    name: str,
    order: Array,
    given: Array,
    rows: NDArray[np.int64],
    human: Array,
    w: Array,
    share: float,
    tried: int,
) -> OrderEstimate:
    mu, terms, freedom = mean_terms(membership(order, share)[rows], human, w)
    top = _interval(mu, terms, freedom)
    if name == GIVEN:
        return OrderEstimate(name, top, None, False)
    base, others, room = mean_terms(membership(given, share)[rows], human, w)
    difference, least = terms - others, min(freedom, room)
    gain = _interval(mu - base, difference, least)
    error = float(np.sqrt((difference**2).sum()))
    bound = gain.value - float(stdtrit(max(least, 1.0), 1 - DOUBT / max(tried - 1, 1))) * error
    shown = least >= 1 and bound > 1e-9  # error is 0 where everyone that could be selected was asked
    return OrderEstimate(name, top, gain, bool(shown))


def wilson(share: float, size: float) -> Estimate:
    """A share of `size` (effective) anchors with Wilson's 95 % interval (Wilson, JASA 22, 1927)."""
    z2 = 1.96**2
    center = (share + z2 / (2 * size)) / (1 + z2 / size)
    half = 1.96 * np.sqrt(share * (1 - share) / size + z2 / (4 * size**2)) / (1 + z2 / size)
    return Estimate(share, float(center - half), float(center + half))


def _rater(given: NDArray[np.int64], human: Array, w: Array) -> tuple[Estimate, Estimate]:
    """Accuracy and bias over the rated anchors."""
    rated = given >= 0
    w, off = w[rated], given[rated] - human[rated]
    accuracy = wilson(float((w * (off == 0)).sum() / w.sum()), float(w.sum() ** 2 / (w**2).sum()))
    return accuracy, _interval(*mean_terms(np.ones(len(off)), off, w))


def _transition_interval(
    given: NDArray[np.int64], human: NDArray[np.int64], w: Array, K: int
) -> tuple[Array, Array]:
    low, high = np.full((K, K), np.nan), np.full((K, K), np.nan)
    for i in range(K):
        of = w * ((human == i) & (given >= 0))
        if of.sum() == 0:
            continue
        size = float(of.sum() ** 2 / (of**2).sum())
        for j in range(K):
            share = wilson(float(of[given == j].sum() / of.sum()), size)
            low[i, j], high[i, j] = share.low, share.high
    return low, high


def _verdict(
    n: int,
    accuracy: Estimate,
    tests: list[EvidenceTest],
    orders: list[OrderEstimate],
    likeliest: str,
    chosen: str,
    share: float,
) -> str:
    said = [
        f"By {n} human scores the rater is right {accuracy.value:.0%} of the time ({accuracy.low:.0%} to "
        f"{accuracy.high:.0%})."
    ]
    for test in tests:
        if test.shown:
            said.append(f"{test.name} adds to it: {test.gain:.0%} less squared error on anchors not fitted.")
        else:
            said.append(f"{test.name}: no gain that these anchors can show, so it was not used.")
    if len(orders) > 1:
        top = {o.name: o for o in orders}
        if chosen != GIVEN:
            gain = top[chosen].gain
            assert gain is not None
            said.append(
                f"Select by {chosen}: the best {share:.0%} would score {gain.value:+.2f} points against the "
                f"given scores' ({gain.low:+.2f} to {gain.high:+.2f})."
            )
        else:
            also = "" if likeliest == GIVEN else f"; {likeliest} looks best, but that may be chance"
            said.append(
                f"No order selects shown better than the given scores{also}: stay with them, or ask more."
            )
    return " ".join(said)
