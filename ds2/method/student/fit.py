"""The student of one rater: members cross-fitted on the columns at hand, stacked.

    student_n = mean + sum_m w_m (f_m(x_n; scores of other folds) - mean),  w >= 0

x_n are blocks of columns (`columns`): unit-row embeddings, TF-IDF of the texts, their surface features,
columns a person gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ds2.method.knn import KnnGraph
from ds2.method.student.boosting import cross_fitted_boosting
from ds2.method.student.columns import for_trees, make_blocks
from ds2.method.student.features import count_terms
from ds2.method.student.folds import seeded_folds, twin_groups
from ds2.method.student.neighbors import neighbor_mean
from ds2.method.student.ridge import cross_fitted_ridge
from ds2.method.student.stack import Member, Stack, stack_members

Array = NDArray[np.float64]

FOLDS, SMALL_FOLDS, SMALL = 5, 10, 20_000
"""Folds, and folds of a pool with at most SMALL rated rows: a fit from nine tenths is better than one from
four fifths.
"""
REPEATS, FEW = 2, 2_500
"""Dealings of the folds that are averaged with at most FEW rated rows, where one dealing is a matter of
luck.
"""
FEWEST = 10
"""Rated rows below which nothing is learned."""


@dataclass(frozen=True)
class Student:
    predicted: Array
    """(N,) out-of-fold predictions in scores; the mean score where nothing could be learned."""
    neighbors: Array
    """(N,) the neighbour mean."""
    spread: Array
    """(N,) standard deviation of the members' predictions: how far they disagree on a row."""
    members: list[Member]
    whole: Member
    columns: dict[str, int]
    """Columns of each block."""
    folds: int
    twins: int
    """Rated rows that share a fold with a near-duplicate of theirs."""
    warnings: list[str] = field(default_factory=list)


def learn_student(
    embeddings: NDArray[np.float32] | None,
    scores: Array,
    rated: NDArray[np.bool_],
    graph: KnnGraph,
    *,
    texts: Sequence[str] | None = None,
    features: Array | None = None,
    lengths: bool = True,
    k: int = 10,
    folds: int | None = None,
    seed: int = 0,
) -> Student:
    """Learn from the rated rows, predict all. embeddings (N, d) unit rows; scores (N,) read where rated;
    features (N, f).

    folds: FOLDS, or SMALL_FOLDS of a small pool, where None. lengths: whether surface features of length
    are among the columns.
    """
    N, n = len(scores), int(rated.sum())
    counts = None if texts is None else count_terms(texts)
    blocks = make_blocks(embeddings, texts, counts, features, lengths=lengths, seed=seed)
    sizes = {name: block.shape[1] for name, block in blocks.items()}
    groups = twin_groups(graph, counts)
    count = folds or (SMALL_FOLDS if n <= SMALL else FOLDS)
    fold = seeded_folds(scores, rated, groups, count, seed)
    F = int(fold.max()) + 1
    mean = float(scores[rated].mean())
    why = None
    if n < FEWEST:
        why = f"{n} rated samples are too few for a student (it needs {FEWEST})"
    elif np.ptp(scores[rated]) == 0:
        why = "all given scores are equal: there is nothing to learn"
    elif F < 3:
        why = "nearly all samples are copies of one another: there is nothing to learn from"
    if why is not None:
        nothing = Member("student", 0.0, 0.0, 0.0, 0.0, refused=True)
        flat = np.full(N, mean)
        return Student(flat, flat, np.zeros(N), [], nothing, sizes, 0, 0, [why])
    around = neighbor_mean(graph, scores, rated, groups, k)
    columns = {"neighbours": around}
    if blocks:
        X, dense = np.concatenate(list(blocks.values()), axis=1), for_trees(blocks)
        dealings = [fold] + [
            seeded_folds(scores, rated, groups, count, seed + 1_000_003 * again)
            for again in range(1, REPEATS if n <= FEW else 1)
        ]
        columns["ridge"] = np.mean([cross_fitted_ridge(X, scores, f) for f in dealings], axis=0)
        columns["boosting"] = np.mean(
            [cross_fitted_boosting(dense, scores, f, seed=seed) for f in dealings], axis=0
        )
    stack: Stack = stack_members(columns, scores, fold, groups)
    size = np.bincount(groups[rated], minlength=int(groups.max()) + 1)
    twins = int(size[size > 1].sum())
    spread = np.std(list(columns.values()), axis=0)
    return Student(stack.predicted, around, spread, stack.members, stack.whole, sizes, F, twins)
