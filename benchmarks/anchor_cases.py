"""Raters of real sets as the benchmarks of anchors see them: scores, people's answers and orders."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from human_truth import embed  # noqa: E402
from rated_sets import RatedSet, read_set  # noqa: E402

import ds2  # noqa: E402
from ds2.method.anchor_evidence import try_evidence  # noqa: E402
from ds2.method.anchors import AnchorDraw, draw_anchors  # noqa: E402
from ds2.method.knn import KnnGraph, knn_graph  # noqa: E402
from ds2.method.student.neighbors import neighbor_mean  # noqa: E402

ASKED, DRAWS = 100, 20

NEIGHBORS = "neighbours' mean"


@dataclass(frozen=True)
class Case:
    """One rater of one set: scores (N,) in 0..K-1, human mean on that scale (N,), the person's whole
    answers, the neighbours' mean score, and the other orders.
    """

    name: str
    rater: str
    scores: np.ndarray
    human: np.ndarray
    answers: np.ndarray
    num_scores: int
    graph: KnnGraph
    neighbors: np.ndarray
    orders: dict[str, np.ndarray]
    columns: dict[str, np.ndarray]
    """Evidence that `refine` with anchors tries beside its order."""

    def draw(self, seed: int) -> AnchorDraw:
        """As `ds2 anchors draw`."""
        return draw_anchors(self.scores, n=ASKED, orders=self.orders, seed=seed)

    def anchored(self, rows: np.ndarray) -> np.ndarray:
        """The refined order as these anchors move it, all samples as if unasked."""
        found = try_evidence(self.orders["refine"], rows, self.answers[rows].astype(float), self.columns)
        return found.expected if found.shown else self.orders["refine"]


def cases(folder: Path, kept: Path | None = None) -> Iterator[Case]:
    """Every rater of the set's own scale with at least 300 scored rows and more than one level; its rows
    alone.
    """
    for file in sorted(folder.glob("*.jsonl.gz")):
        found = read_set(file)
        low, made = float(np.floor(found.human.min())), dict[bytes, Any]()
        for r, rater in enumerate(found.raters):
            rows = np.flatnonzero(found.scores[:, r] >= 0)
            if len(rows) < 300 or len(np.unique(found.scores[rows, r])) < 2:
                continue
            make = partial(_curated, found, r, rows, made)
            made_of = _remembered(kept, f"{found.name}--{rater}", make)
            human = found.human[rows] - low
            graph = KnnGraph(made_of["neighbors"], made_of["distances"]).truncate(10)
            yield Case(
                found.name,
                rater,
                found.scores[rows, r],
                human,
                np.clip(np.floor(human + 0.5), 0, found.num_scores - 1).astype(np.int64),
                found.num_scores,
                graph,
                made_of["near"],
                {
                    "refine": made_of["refined"],
                    "posterior": made_of["posterior"],
                    "rank, then long tail": made_of["rank"] + made_of["long_tail"],
                },
                {
                    "the student": made_of["student"],
                    "the neighbours": made_of["posterior"],
                    "length": made_of["length"],
                },
            )


def _remembered(
    kept: Path | None, name: str, make: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    if kept is None:
        return make()
    path = kept / f"{re.sub('[/:]', '_', name)}.npz"
    if not path.is_file():
        kept.mkdir(parents=True, exist_ok=True)
        np.savez(path, **make())
    return dict(np.load(path))


def _curated(found: RatedSet, rater: int, rows: np.ndarray, made: dict[bytes, Any]) -> dict[str, np.ndarray]:
    """Orders and evidence of one rater. made: embeddings and graph of the rows of the rater before."""
    s, key = found.scores[rows, rater], rows.tobytes()
    if key not in made:
        made.clear()
        x = embed([found.texts[i] for i in rows], "tfidf")
        made[key] = x, knn_graph(x, min(96, len(rows) - 1))
    x, graph = made[key]
    texts = [found.rated[i] for i in rows]
    result = ds2.curate(x, s, graph=graph, num_scores=found.num_scores, method="refine", texts=texts)
    ranked = ds2.curate(x, s, graph=graph, num_scores=found.num_scores, method="rank")
    return {
        "refined": result.refined,
        "student": result.student,
        "posterior": result.posterior_mean,
        "near": neighbor_mean(graph, s.astype(float), s >= 0, np.arange(len(s)), 10),
        "length": np.log1p([len(text) for text in texts]),
        "rank": ranked.curated,
        "long_tail": ranked.long_tail,
        "neighbors": graph.neighbors[:, :20],
        "distances": graph.distances[:, :20],
    }


def unit(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / (x.std() + 1e-12)
