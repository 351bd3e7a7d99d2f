"""Refine, don't replace: the given score decides, and the rater's own student orders what it left equal.

    refined_n = l_n + 0.9 (r_n - 1/2)        r_n in (0, 1) the rank, within the level l_n, of
                                             z(student_n) + 0.5 z(posterior mean_n)

l_n is the given score. A continuous score (an expected rating, a mean of repeats) has no equals to order;
its levels are cells of width sqrt(2) sigma, the standard error of a difference, sigma the noise of one
given score: from repeats, from split halves of them, or, where there are none, the student's out-of-fold
residual, which is an upper bound. Unrated samples take the student's prediction. What could not be shown to
predict the scores orders nothing (`student.stack`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds2.base.checks import number_array, one_of, whole_number
from ds2.base.errors import UserError
from ds2.method.choices import Length
from ds2.method.knn import KnnGraph, unit_rows
from ds2.method.student.fit import Student, learn_student
from ds2.method.student.stack import Member

Array = NDArray[np.float64]

POSTERIOR_WEIGHT = 0.5
"""Weight of z(posterior mean) beside z(student)."""
SPAN = 0.9
"""Share of the distance between two levels that their order takes."""
COARSE = 11
"""More distinct scores than this, or scores between whole numbers, are continuous."""
CONTRADICTED = 1.64
"""Residual, in standard deviations of residuals, from which the student contradicts a score."""


@dataclass(frozen=True)
class Evidence:
    """What an order rests on."""

    members: list[Member]
    """The student's members: weight, out-of-fold R^2 and its 95 % interval; refused where that reaches 0."""
    student: Member
    """The stack of them."""
    posterior_weight: float
    """Weight of the posterior mean beside the student, 0 where there is none or neighbours were refused."""
    folds: int
    twins: int
    """Rated samples kept in one fold with a near-duplicate."""
    columns: dict[str, int]
    """Columns of each block that the student learned from."""
    length: str
    levels: int
    """Levels within which samples were ordered."""
    noise: float | None
    """Standard deviation of one given score around the rater's own mean, in scores; None for scores on a
    coarse scale.
    """
    noise_source: str
    """`coarse scale`, `repeats`, `split halves` or `out-of-fold residual`."""


@dataclass(frozen=True, eq=False)
class Refined:
    """N samples."""

    refined: Array
    """(N,) orders: higher is better."""
    student: Array
    """(N,) predictions in scores, of a rated sample from the other folds."""
    flagged: NDArray[np.bool_]
    """(N,) samples whose score the student and the neighbours both contradict, in the same direction.
    Reported, not acted on.
    """
    spread: Array
    """(N,) how far the student's members disagree, in scores."""
    evidence: Evidence
    warnings: list[str] = field(default_factory=list)


def refine(
    embeddings: ArrayLike | None,
    scores: ArrayLike,
    *,
    graph: KnnGraph,
    num_scores: int,
    texts: Sequence[str] | None = None,
    features: ArrayLike | None = None,
    posterior_mean: ArrayLike | None = None,
    repeats: ArrayLike | None = None,
    noise: tuple[float, str] | None = None,
    length: str = "as_rated",
    k: int = 10,
    seed: int = 0,
) -> Refined:
    """Order samples by the given score and, within equal ones, by the rater's student and the posterior.

    embeddings (N, d), or None where texts or features are there. scores (N,) in 0..num_scores-1, -1
    unrated, whole or not. graph: of the N samples. texts: N strings, the rated parts. features (N, f).
    posterior_mean (N,) in scores. repeats (N, R): the ratings that the scores are means of, NaN where
    missing. noise: standard deviation of one score where it is known, and from what. length: `ignore` keeps
    surface features of length from the student and takes length (log characters and its square) out of the
    order; it needs texts. k: neighbours of the neighbour mean.

    UserError or TypeError for inputs that cannot work; equal or too few scores are no error, but a warning.
    """
    s = _check_scores(scores, num_scores)
    N = len(s)
    one_of("length", length, Length)
    whole_number("k", k, 1)
    whole_number("seed", seed, 0)
    if not isinstance(graph, KnnGraph) or graph.num_samples != N:
        raise UserError(f"refine needs a KnnGraph of the {N} scored samples")
    x = None if embeddings is None else unit_rows(embeddings)
    if x is not None and len(x) != N:
        raise UserError(f"{len(x)} embeddings but {N} scores")
    check_texts(texts, N)
    if length == "ignore" and texts is None:
        raise UserError("length='ignore' needs texts: without them length is not known")
    columns = None if features is None else check_features(features, N)
    rated = s >= 0
    if not rated.any():
        raise UserError("no sample is rated")
    learned = learn_student(
        x, s, rated, graph, texts=texts, features=columns, lengths=length == "as_rated", k=k, seed=seed
    )
    soft = None if posterior_mean is None else _column("posterior_mean", posterior_mean, N)
    log_length = None
    if length == "ignore":
        assert texts is not None
        log_length = np.log1p([len(t) for t in texts])
    around = _noise(s, rated, repeats, learned) if noise is None else noise
    return _order(s, rated, learned, soft, around, log_length, length, texts)


def _order(
    s: Array,
    rated: NDArray[np.bool_],
    learned: Student,
    soft: Array | None,
    noise: tuple[float | None, str],
    log_length: Array | None,
    length: str,
    texts: Sequence[str] | None,
) -> Refined:
    refused = {m.name for m in learned.members if m.refused}
    weight = 0.0 if soft is None or not learned.members or "neighbours" in refused else POSTERIOR_WEIGHT
    student = (
        learned.predicted if log_length is None else without_length(learned.predicted, log_length, rated)
    )
    tie = _z(student, rated)
    if weight and soft is not None:
        around = soft if log_length is None else without_length(soft, log_length, rated)
        tie = tie + weight * _z(around, rated)
    level = s.copy()
    width = 1.0
    if noise[0] is not None:
        width = max(np.sqrt(2) * noise[0], 1e-9)
        level = width * np.round(s / width)
    refined = student.copy()
    refined[rated] = level[rated] + width * SPAN * _rank_within(level[rated], tie[rated])
    flagged = _contradicted(s, rated, learned, soft)
    evidence = Evidence(
        members=learned.members,
        student=learned.whole,
        posterior_weight=weight,
        folds=learned.folds,
        twins=learned.twins,
        columns=learned.columns,
        length=length,
        levels=len(np.unique(level[rated])),
        noise=noise[0],
        noise_source=noise[1],
    )
    said = [*learned.warnings, *_warnings(learned, soft, texts)]
    return Refined(refined, student, flagged, learned.spread, evidence, said)


def _warnings(learned: Student, soft: Array | None, texts: Sequence[str] | None) -> list[str]:
    said = []
    if learned.members and learned.whole.refused:
        w = learned.whole
        said.append(
            f"the student predicts nothing of this rater out of fold (R^2 {w.r2:.3f}, {w.r2_low:.3f} to "
            f"{w.r2_high:.3f}): it is not used"
        )
    if texts is None:
        said.append(
            "without texts the student learns from embeddings and neighbours alone: on real raters that is "
            "less than half of what it gains from texts (docs/truth.md)"
        )
    elif not any(texts):
        said.append("all texts are empty: the student learns from embeddings and neighbours alone")
    return said


def _rank_within(level: Array, tie: Array) -> Array:
    """Mid-rank of each tie value within its level, scaled to (-1/2, 1/2); equal values share the mean of
    their ranks.
    """
    from scipy.stats import rankdata

    out = np.zeros(len(level))
    order = np.argsort(level, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(level[order])) + 1):
        out[rows] = (rankdata(tie[rows]) - 0.5) / len(rows) - 0.5
    return out


def _noise(
    s: Array, rated: NDArray[np.bool_], repeats: ArrayLike | None, learned: Student
) -> tuple[float | None, str]:
    """Standard deviation of a given score around the rater's own mean, and where it is known from."""
    values = s[rated]
    if repeats is not None:
        r = _check_repeats(repeats, len(s))[rated]
        count = np.isfinite(r).sum(axis=1)
        several = count >= 2
        if several.any():
            if count.max() == 2:
                half = np.diff(np.where(np.isfinite(r[several]), r[several], 0.0), axis=1)
                source, variance = "split halves", float((half**2).mean() / 2)
            else:
                source, variance = "repeats", float(np.nanvar(r[several], axis=1, ddof=1).mean())
            return float(np.sqrt(variance / count[several].mean())), source
    if (values == np.round(values)).all() and len(np.unique(values)) <= COARSE:
        return None, "coarse scale"
    residual = values - learned.predicted[rated]
    return float(residual.std()), "out-of-fold residual"


def _contradicted(
    s: Array, rated: NDArray[np.bool_], learned: Student, soft: Array | None
) -> NDArray[np.bool_]:
    """Samples that the student puts CONTRADICTED residuals away from their score and the neighbours half a
    score or more, alike.
    """
    if learned.whole.refused:
        return np.zeros(len(s), dtype=bool)
    off = np.where(rated, learned.predicted - s, 0.0)
    spread = float(off[rated].std())
    around = np.where(rated, (learned.neighbors if soft is None else soft) - s, 0.0)
    far = np.abs(off - off[rated].mean()) > CONTRADICTED * spread
    return np.asarray(far & (np.abs(around) >= 0.5) & (np.sign(around) == np.sign(off)))


def without_length(values: Array, log_length: Array, rated: NDArray[np.bool_]) -> Array:
    """values (N,) less their least-squares fit on log length and its square on rated rows, mean kept."""
    z = (log_length - log_length.mean()) / max(float(log_length.std()), 1e-12)
    columns = np.stack([np.ones(len(z)), z, z**2], axis=1)
    slopes = np.linalg.lstsq(columns[rated], values[rated], rcond=None)[0]
    return np.asarray(values - columns @ slopes + values[rated].mean())


def _z(values: Array, rated: NDArray[np.bool_]) -> Array:
    spread = float(values[rated].std())
    return (values - values[rated].mean()) / spread if spread > 1e-9 else np.zeros(len(values))


def _check_scores(scores: ArrayLike, num_scores: int) -> Array:
    K = whole_number("num_scores", num_scores, 2)
    s = number_array("scores", scores).astype(np.float64)
    if s.ndim != 1 or not len(s):
        raise UserError(f"refine takes one rater's scores, (N,), got shape {s.shape}")
    bad = np.flatnonzero(~(((s >= 0) & (s <= K - 1)) | (s == -1)))
    if bad.size:
        raise UserError(f"scores row {bad[0]} is {s[bad[0]]:g}, outside 0..{K - 1} (and not -1, unrated)")
    return s


def check_texts(texts: Any, N: int) -> None:
    """texts are None or N strings."""
    if texts is None:
        return
    if isinstance(texts, str) or not hasattr(texts, "__len__") or not all(isinstance(t, str) for t in texts):
        raise TypeError("texts must be a sequence of strings, one a sample")
    if len(texts) != N:
        raise UserError(f"{len(texts)} texts but {N} scores")


def check_features(features: ArrayLike, N: int) -> Array:
    """A person's own columns as (N, f) float64."""
    f = number_array("features", features).astype(np.float64)
    f = f[:, None] if f.ndim == 1 else f
    if f.ndim != 2 or len(f) != N:
        raise UserError(f"features must be ({N}, f) numbers, one row a sample, got shape {f.shape}")
    bad = np.flatnonzero(~np.isfinite(f).all(axis=1))
    if bad.size:
        raise UserError(f"features row {bad[0]} is not finite (NaN or infinite)")
    return f


def _check_repeats(repeats: ArrayLike, N: int) -> Array:
    r = number_array("repeats", repeats).astype(np.float64)
    if r.ndim != 2 or len(r) != N:
        raise UserError(f"repeats must be ({N}, R), one row a sample, got shape {r.shape}")
    return r


def _column(name: str, values: ArrayLike, N: int) -> Array:
    v = number_array(name, values).astype(np.float64)
    if v.shape != (N,) or not np.isfinite(v).all():
        raise UserError(f"{name} must be {N} finite numbers, got shape {v.shape}")
    return v
