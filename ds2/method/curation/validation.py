"""Validation without ground truth: leave one rater out.

Each rater's scores are curated alone, seeing nothing of the others, and compared, raw and curated, with the
mean of the other raters' scores. Curation that helps moves a rater towards raters it never saw. With the
ranks of length partialled out of both sides, agreement that only follows length does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds2.base.errors import UserError
from ds2.method.agreement import quadratic_kappa
from ds2.method.curation.api import curate
from ds2.method.curation.detection import CONFIDENCE
from ds2.method.curation.inputs import check_options, gather_inputs
from ds2.method.knn import KnnGraph
from ds2.method.scores import check_scores

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """Agreement of one version of a rater's scores with the mean of the other raters."""

    spearman: float
    spearman_without_length: float | None
    """Partial rank correlation given length; None without lengths."""
    kappa: float
    """Quadratic-weighted kappa of the rounded scores with the others' rounded mean."""


@dataclass(frozen=True)
class LeftOut:
    """One rater, curated without sight of the others."""

    rater: str
    samples: int
    """Samples that this rater and at least one other rated."""
    raw: Agreement
    curated: Agreement
    """Agreement of the posterior mean where the method gives one (its kappa: of the curated scores), else
    of the curated scores.
    """

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


def leave_one_rater_out(
    embeddings: ArrayLike | None = None,
    scores: ArrayLike | None = None,
    *,
    num_scores: int = 6,
    method: str = "posterior",
    k: int = 10,
    seed: int = 0,
    graph: KnnGraph | None = None,
    lengths: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    confidence: float = CONFIDENCE,
) -> list[LeftOut]:
    """Curate each rater alone and measure its agreement with the mean of the others, raw and curated.

    scores: (N, R), R at least 2, -1 unrated; the rest as in `curate`. names: R labels. ValueError for fewer
    raters, or none of a rater's samples rated by another.
    """
    check_options(method, num_scores, k, confidence, seed)
    s = check_scores(scores, num_scores, "posterior")  # the method that takes several raters
    if s.shape[1] < 2:
        raise UserError("leave_one_rater_out needs scores of at least 2 raters, (N, R)")
    labels = [f"rater {r}" for r in range(s.shape[1])] if names is None else list(names)
    if len(labels) != s.shape[1]:
        raise UserError(f"{len(labels)} names for {s.shape[1]} raters")
    inputs = gather_inputs(s, embeddings, graph, None, lengths, method, k, "cpu")
    size = inputs.lengths
    out = []
    for r, label in enumerate(labels):
        others = np.delete(s, r, axis=1)
        counted = (others >= 0).sum(axis=1)
        both = (counted > 0) & (s[:, r] >= 0)
        if both.sum() < 3:
            raise UserError(f"{label} shares fewer than 3 rated samples with the other raters")
        target = np.where(others >= 0, others, 0).sum(axis=1)[both] / counted[both]
        result = curate(
            inputs.embeddings, s[:, r], num_scores=num_scores, method=method, k=k, seed=seed,
            graph=inputs.graph, confidence=confidence,
        )  # fmt: skip
        soft = result.curated if result.posterior_mean is None else result.posterior_mean
        length = None if size is None else size[both]
        raw = agreement(s[both, r], s[both, r], target, length, num_scores)
        after = agreement(soft[both], result.curated[both], target, length, num_scores)
        out.append(LeftOut(label, int(both.sum()), raw, after))
    return out


def agreement(
    soft: ArrayLike, hard: NDArray[np.int64], target: Array, lengths: Array | None, num_scores: int
) -> Agreement:
    """Spearman of `soft` with `target`, plain and given length, and the kappa of `hard` with the rounded
    target.
    """
    from scipy.stats import rankdata

    a, b = rankdata(soft), rankdata(target)
    partial = None
    if lengths is not None:
        c = rankdata(lengths)
        partial = _correlation(_residual(a, c), _residual(b, c))
    rounded = np.floor(target + 0.5).astype(np.int64)
    return Agreement(_correlation(a, b), partial, quadratic_kappa(hard, rounded, num_scores))


def _residual(a: Array, b: Array) -> Array:
    a, b = a - a.mean(), b - b.mean()
    norm = float(b @ b)
    return a if norm == 0 else np.asarray(a - b * float(a @ b) / norm)


def _correlation(a: Array, b: Array) -> float:
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return 0.0 if norm == 0 else float(a @ b) / norm
