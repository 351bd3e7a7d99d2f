"""`curate` with anchors: people's scores of some samples move an order only by what they show out of sample.

`refine`: the student, the neighbours and the length of texts are tried beside the refined order
(`anchor_evidence`); with what is shown to add, samples are ordered by the human score that it all predicts,
and a sample's own score can yield. `posterior`: its mean, for each anchor from a fit that did not see that
anchor's answer, must predict people better than the given scores do; else rated samples keep their given
scores. Where people score against the rater (the slope is not above 0) nothing is moved.

Samples that a person scored stand where that score puts them: at h, or, where the refined order stays, at
the point of it whose expected human score is h. What each would be had it not been asked is kept beside
(`Asked.order`): estimates of what is selected need it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from ds2.base.errors import UserError
from ds2.method.agreement import lower_median
from ds2.method.anchor_evidence import (
    DOUBT,
    Evidence,
    EvidenceTest,
    compare_errors,
    left_out_errors,
    try_evidence,
)
from ds2.method.anchor_judgement import Judgement, check_weights, given_or_mean, judge_anchors
from ds2.method.curation.inputs import Inputs
from ds2.method.curation.posterior import PosteriorFit, fit_posterior
from ds2.method.curation.result import Asked, CurationResult
from ds2.method.curation.verdict import anchored_verdict
from ds2.method.stated import check_anchors

Array = NDArray[np.float64]

FOLDS = 5
"""Fits of the posterior, each without a fifth of the anchors' answers."""
STUDENT, NEIGHBORS, LENGTH = "the student", "the neighbours", "length"
"""Evidence tried beside the refined order."""
POSTERIOR = "the posterior mean"
REFINED, REFINED_TOO, POSTERIOR_TOO = "refine", "refine with anchors", "posterior with anchors"
"""Orders as a judgement names them."""


@dataclass(frozen=True, eq=False)
class Anchors:
    """Checked anchors: rows (n,), human scores (n,) in 0..K-1, design weights (n,)."""

    rows: NDArray[np.int64]
    scores: NDArray[np.int64]
    weight: Array

    def known(self, num_samples: int, but: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Human scores of all samples, (N,), -1 where none is known; without the anchors `but` (n,)."""
        told = np.full(num_samples, -1, dtype=np.int64)
        kept = np.ones(len(self.rows), dtype=bool) if but is None else ~but
        told[self.rows[kept]] = self.scores[kept]
        return told


def check_told(
    anchors: object, weight: ArrayLike | None, num_samples: int, num_scores: int
) -> Anchors | None:
    """Anchors as a person gave them to `curate`; None without."""
    if anchors is None:
        if weight is not None:
            raise UserError("anchor_weight says how anchors were drawn: give anchors too")
        return None
    known = check_anchors(anchors, num_samples, num_scores)
    rows = np.array(list(anchors), dtype=np.int64)  # type: ignore[call-overload]
    return Anchors(rows, known[rows], check_weights(weight, len(rows)))


def anchor_refined(
    result: CurationResult, inputs: Inputs, anchors: Anchors, num_scores: int, texts: Sequence[str] | None
) -> CurationResult:
    """A result of `refine` with its order as far as the anchors move it, and what they say.

    texts: whose length may serve as evidence.
    """
    base, student, soft = result.refined, result.student, result.posterior_mean
    assert base is not None
    assert student is not None
    assert soft is not None
    given, rows, human = lower_median(inputs.scores), anchors.rows, anchors.scores.astype(np.float64)
    columns = {STUDENT: student, NEIGHBORS: soft}
    if texts is not None:
        columns[LENGTH] = np.log1p([len(text) for text in texts])
    found = try_evidence(base, rows, human, columns)
    order, own = _placed(found, base, rows, human)
    said = _judge(given, anchors, num_scores, {REFINED: base, REFINED_TOO: order}, found.tests)
    refined = order.copy()
    refined[rows] = own
    curated = result.curated.copy()
    curated[rows] = anchors.scores
    asked = Asked(rows, anchors.scores, anchors.weight, order[rows])
    told = replace(
        result.diagnostics,
        anchors=said,
        verdict=anchored_verdict(
            "refine", said, found.gain, against=found.slope <= 0, raters=inputs.scores.shape[1]
        ),
    )
    return replace(result, refined=refined, curated=curated, asked=asked, diagnostics=told)


def _placed(found: Evidence, base: Array, rows: NDArray[np.int64], human: Array) -> tuple[Array, Array]:
    """The order of all samples as if nobody had been asked, (N,), and the places of those asked, (n,)."""
    if found.shown:
        return found.expected, human
    if found.slope <= 0:  # people contradict the order: it has no place for what they say
        return base, base[rows]
    return base, base[0] + (human - found.expected[0]) / found.slope


def posterior_with_anchors(
    inputs: Inputs, anchors: Anchors, num_scores: int, *, k: int, seed: int, transition: Array | None
) -> tuple[PosteriorFit, Array]:
    """The fit that knows all anchors, and their posterior means, (n,), from fits without their answers."""
    N, n = len(inputs.scores), len(anchors.rows)

    def fit(but: NDArray[np.bool_] | None = None) -> PosteriorFit:
        return fit_posterior(
            inputs.graph, inputs.scores, num_scores, k=k, seed=seed, known=anchors.known(N, but),
            transition=transition,
        )  # fmt: skip

    fold = np.random.default_rng([seed, 21]).permutation(n) % FOLDS
    unasked = np.empty(n)
    for f in range(FOLDS):
        rows = anchors.rows[fold == f]
        unasked[fold == f] = fit(fold == f).posterior[rows] @ np.arange(num_scores)
    return fit(), unasked


def anchor_posterior(
    result: CurationResult, inputs: Inputs, anchors: Anchors, num_scores: int, unasked: Array
) -> CurationResult:
    """A result of `posterior` that knows the anchors, kept where they show that it is better than the given
    scores.
    """
    mean = result.posterior_mean
    assert mean is not None
    given, rows, human = lower_median(inputs.scores), anchors.rows, anchors.scores.astype(np.float64)
    order = mean.copy()
    order[rows] = unasked
    before, after = (np.column_stack([np.ones(len(rows)), x[rows]]) for x in (given_or_mean(given), order))
    gain, z = compare_errors(left_out_errors(before, human) ** 2, left_out_errors(after, human) ** 2)
    slope = float(np.linalg.lstsq(after, human, rcond=None)[0][1])
    shown = bool(z > ndtri(1 - DOUBT) and slope > 0)
    test = EvidenceTest(POSTERIOR, gain, z, shown, slope * float(mean.std()))
    said = _judge(given, anchors, num_scores, {POSTERIOR_TOO: order}, [test])
    # Refused, a rated sample stands at its given score, an unrated one at its posterior mean.
    unmoved = np.where(given[rows] >= 0, given[rows], order[rows])
    asked = Asked(rows, anchors.scores, anchors.weight, order[rows] if shown else unmoved)
    told = replace(
        result.diagnostics,
        anchors=said,
        kept_raw=not shown,
        verdict=anchored_verdict("posterior", said, gain, raters=inputs.scores.shape[1]),
    )
    result = replace(result, asked=asked, diagnostics=told)
    return result if shown else _keeping(result, given, anchors, num_scores)


def _keeping(
    result: CurationResult, given: NDArray[np.int64], anchors: Anchors, num_scores: int
) -> CurationResult:
    """Given scores in place of the posterior's; unrated samples keep the posterior, those that people scored
    what they said.
    """
    assert result.posterior is not None
    kept = np.where(given >= 0, given, result.curated)
    kept[anchors.rows] = anchors.scores
    known = given >= 0
    posterior = np.where(known[:, None], np.eye(num_scores)[kept], result.posterior)
    nothing = np.zeros(len(given))
    return replace(result, curated=kept, posterior=posterior, confidence=nothing, flagged=nothing > 0)


def _judge(
    given: NDArray[np.int64],
    anchors: Anchors,
    num_scores: int,
    orders: dict[str, Array],
    tests: list[EvidenceTest],
) -> Judgement:
    """What the anchors say of the given scores and of orders, with the tests made beside another order."""
    told = dict(zip(anchors.rows.tolist(), anchors.scores.tolist(), strict=True))
    said = judge_anchors(given, told, anchors.weight, num_scores=num_scores, orders=orders)
    return replace(said, evidence=tests)
