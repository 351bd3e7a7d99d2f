"""Which rows to rate next: those that may be among the best.

    promise_n = f(x_n) + spread_n          f the student's prediction, spread_n the standard deviation of its
                                           members' predictions

A share is rated in batches. The first is a random draw; before each further one the student learns from what
is rated so far, by the texts alone, and the rows of the largest promise follow. By people's ratings that
chooses better than a random share of the same size (docs/truth.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds2.config import LlmRaterConfig
from ds2.method.knn import KnnGraph, knn_graph
from ds2.method.refine import refine
from ds2.method.student.features import count_terms, text_vectors
from ds2.pool import Pool
from ds2.rating.sample import drawn

TOP = 0.1
"""The share of the pool whose choice is watched."""
K = 10


@dataclass(frozen=True)
class Learned:
    """What is known of the N rows after a batch."""

    order: NDArray[np.float64]
    """(N,) higher first: the given score, and the student's prediction where there is none."""
    promise: NDArray[np.float64]
    """(N,) how good a row may be: prediction and disagreement of the student's members, in scores."""


class Learner:
    """Learns one pool again after each batch. texts: N strings, the rated parts."""

    def __init__(self, texts: Sequence[str], num_scores: int, seed: int) -> None:
        self._texts, self._num_scores, self._seed = texts, num_scores, seed
        self._graph = _graph_of(texts)

    def learn(self, scores: NDArray[np.int16]) -> Learned:
        """The student of what is rated so far. scores (N,), -1 unrated, at least one rated."""
        found = refine(
            None, scores.astype(np.float64), graph=self._graph, num_scores=self._num_scores,
            texts=self._texts, k=K, seed=self._seed,
        )  # fmt: skip
        return Learned(found.refined, found.student + found.spread)


def most_promising(
    promise: NDArray[np.float64], asked: NDArray[np.bool_], count: int, seed: int
) -> NDArray[np.int64]:
    """Positions of `count` rows that were not asked about yet, of the largest promise; ties are drawn."""
    drawn_by = np.random.default_rng([seed, 47]).random(len(promise))
    order = np.lexsort((drawn_by, -promise))
    return np.asarray(np.sort(order[~asked[order]][:count]), dtype=np.int64)


def overlap_of_tops(one: NDArray[np.float64], other: NDArray[np.float64], share: float = TOP) -> float:
    """How much of the first `share` of two orders is the same, 0 to 1."""
    count = max(1, round(share * len(one)))
    first, second = (np.argsort(-order, kind="stable")[:count] for order in (one, other))
    return float(np.isin(first, second).mean())


def batches(
    config: LlmRaterConfig, pool: Pool, num_scores: int, scores: Callable[[], NDArray[np.int16]],
    say: Callable[[str], None],
) -> Iterator[NDArray[np.int64]]:  # fmt: skip
    """Positions to ask about, a batch at a time; each is asked about before the next is drawn.

    scores: what is rated so far, (N,), -1 unrated. say: told why no more are needed.
    """
    asked = drawn(pool.ids, config.sample / config.batches, config.seed)
    yield np.flatnonzero(asked)
    if config.batches == 1:
        return
    total, size = round(config.sample * len(pool)), int(asked.sum())
    learner = Learner(pool.answers(), num_scores, config.seed)
    before: NDArray[np.float64] | None = None
    while (left := total - int(asked.sum())) > 0:
        known = scores()
        if not (known >= 0).any():
            return
        now = learner.learn(known)
        if before is not None and config.stop_when is not None:
            same = overlap_of_tops(before, now.order)
            if same >= config.stop_when:
                say(
                    f"{asked.mean():.0%} are rated and {same:.0%} of the best tenth stayed: no more are asked"
                )
                return
        before = now.order
        rows = most_promising(now.promise, asked, min(left, size), config.seed)
        asked[rows] = True
        yield rows


def _graph_of(texts: Sequence[str]) -> KnnGraph:
    x = text_vectors(count_terms(texts))
    if not x.shape[1]:  # no text has a word
        x = np.ones((len(texts), 1), dtype=np.float32)
    x[np.linalg.norm(x, axis=1) < 1e-9] = 1.0
    return knn_graph(x, min(K, len(texts) - 1))
