"""Checks at the public edge of curation: everything behind it assumes what is assured here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds2.base.checks import number_array, number_within, one_of, whole_number
from ds2.base.errors import UserError
from ds2.method.choices import CurationMethod, Device, HocSolver, OnUninformative
from ds2.method.curation.result import Array
from ds2.method.curation.subsample import graph_width
from ds2.method.knn import KnnGraph, knn_graph, unit_rows
from ds2.method.length import lengths_of

FEWEST_TO_RESAMPLE = 30
"""Rated samples below which a bootstrap is refused: a resample may hold hardly any of them."""


@dataclass(frozen=True)
class Inputs:
    """Checked inputs. `scores` (N, R), -1 unrated; `embeddings` unit rows or None."""

    scores: NDArray[np.int64]
    graph: KnnGraph
    embeddings: NDArray[np.float32] | None
    lengths: Array | None


def gather_inputs(
    scores: NDArray[np.int64],
    embeddings: ArrayLike | None,
    graph: KnnGraph | None,
    texts: Sequence[str] | None,
    lengths: ArrayLike | None,
    method: str,
    k: int,
    device: str,
) -> Inputs:
    N = len(scores)
    if embeddings is None and graph is None:
        raise UserError("give embeddings, or a graph made from them")
    if graph is not None and not isinstance(graph, KnnGraph):
        raise TypeError(f"graph must be a KnnGraph (ds2.knn_graph makes one), got {type(graph).__name__}")
    rows = None if embeddings is None else unit_rows(embeddings)
    if rows is not None and len(rows) != N:
        raise UserError(f"{len(rows)} embeddings but {N} scores")
    listed = hasattr(texts, "__len__") and not isinstance(texts, str)
    if texts is not None and not (listed and all(isinstance(t, str) for t in texts)):
        raise TypeError("texts must be a sequence of strings, one a sample")
    if texts is not None and len(texts) != N:
        raise UserError(f"{len(texts)} texts but {N} scores")
    if lengths is None and texts is not None:
        lengths = lengths_of(texts)[0]
    size = None if lengths is None else number_array("lengths", lengths).astype(np.float64)
    if size is not None and (size.shape != (N,) or not np.isfinite(size).all()):
        raise UserError(f"lengths must be {N} finite numbers")
    if graph is None:
        assert rows is not None
        if N < 2:
            raise UserError(f"curation needs at least 2 samples, got {N}")
        width = k if method != "rank" else graph_width(N, k - 1, int((scores >= 0).any(axis=1).sum()))
        graph = knn_graph(rows, max(width, 1), device=device)
    if graph.num_samples != N:
        raise UserError(f"the graph holds {graph.num_samples} samples but there are {N} scores")
    needed = min(k if method in ("posterior", "refine") else k - 1, N - 1)
    if graph.k < needed:
        if rows is None:
            raise UserError(f"k = {k} needs {needed} neighbours of a graph that stores {graph.k}")
        graph = knn_graph(rows, needed, device=device)
    if method == "posterior":
        graph = graph.truncate(min(k, graph.k))
    return Inputs(scores, graph, rows, size)


def check_options(method: Any, num_scores: Any, k: Any, confidence: Any, seed: Any) -> None:
    """What every call that curates takes."""
    one_of("method", method, CurationMethod)
    if whole_number("num_scores", num_scores, 2) > 11:
        raise UserError(f"num_scores must be at most 11, got {num_scores}")
    whole_number("k", k, 1 if method in ("posterior", "refine") else 2)
    number_within("confidence", confidence, 0, 1)
    whole_number("seed", seed, 0)


def check_settings(
    method: str,
    duplicate_pool: Any,
    hoc_solver: Any,
    hoc_rounds: Any,
    rounds: Any,
    bootstrap: Any,
    on_uninformative: Any,
    device: Any,
) -> None:
    """The rest of what `curate` takes."""
    one_of("hoc_solver", hoc_solver, HocSolver)
    one_of("on_uninformative", on_uninformative, OnUninformative)
    one_of("device", device, Device)
    whole_number("hoc_rounds", hoc_rounds, 1)
    whole_number("rounds", rounds, 1)
    if whole_number("bootstrap", bootstrap, 0) == 1:
        raise UserError("bootstrap must be at least 2 (0 for none), got 1")
    if not isinstance(duplicate_pool, bool):
        raise TypeError(f"duplicate_pool must be True or False, got {duplicate_pool!r}")
    if duplicate_pool and method != "rank":
        raise UserError(
            f"duplicate_pool reproduces the released code's `rank`; it has no meaning for {method!r}"
        )
    if bootstrap and (duplicate_pool or method in ("none", "refine")):
        raise UserError("bootstrap needs method='rank' or 'posterior' on the pool as it is")


def check_resampling(scores: NDArray[np.int64], bootstrap: int) -> None:
    """Enough rated samples for a bootstrap. scores (N, R)."""
    rated = int((scores >= 0).any(axis=1).sum())
    if bootstrap and rated < FEWEST_TO_RESAMPLE:
        raise UserError(f"bootstrap needs at least {FEWEST_TO_RESAMPLE} rated samples, got {rated}")
