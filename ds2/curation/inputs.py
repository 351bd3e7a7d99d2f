"""Checks at the public edge of curation: everything behind it assumes what is assured here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds2.curation.result import Array
from ds2.curation.subsample import graph_width
from ds2.errors import UserError
from ds2.knn import Device, KnnGraph, knn_graph, unit_rows

Method = Literal["rank", "posterior", "none"]
HocSolver = Literal["adam", "multistart"]
OnUninformative = Literal["warn", "fail", "keep_raw"]


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
    method: Method,
    k: int,
    device: Device,
) -> Inputs:
    N = len(scores)
    if embeddings is None and graph is None:
        raise UserError("give embeddings, or a graph made from them")
    rows = None if embeddings is None else unit_rows(embeddings)
    if rows is not None and len(rows) != N:
        raise UserError(f"{len(rows)} embeddings but {N} scores")
    if graph is None:
        assert rows is not None
        if N < 2:
            raise UserError(f"curation needs at least 2 samples, got {N}")
        width = k if method != "rank" else graph_width(N, k - 1, int((scores >= 0).any(axis=1).sum()))
        graph = knn_graph(rows, max(width, 1), device=device)
    if graph.num_samples != N:
        raise UserError(f"the graph holds {graph.num_samples} samples but there are {N} scores")
    needed = min(k if method == "posterior" else k - 1, N - 1)
    if graph.k < needed:
        if rows is None:
            raise UserError(f"k = {k} needs {needed} neighbours of a graph that stores {graph.k}")
        graph = knn_graph(rows, needed, device=device)
    if method == "posterior":
        graph = graph.truncate(min(k, graph.k))
    if texts is not None and len(texts) != N:
        raise UserError(f"{len(texts)} texts but {N} scores")
    if lengths is None and texts is not None:
        lengths = [len(t) for t in texts]
    size = None if lengths is None else np.asarray(lengths, dtype=np.float64)
    if size is not None and (size.shape != (N,) or not np.isfinite(size).all()):
        raise UserError(f"lengths must be {N} finite numbers")
    return Inputs(scores, graph, rows, size)


def check_scores(scores: ArrayLike | None, K: int, method: Method) -> NDArray[np.int64]:
    """Scores as (N, R) int64 with -1 for unrated."""
    if scores is None:
        raise TypeError("curate needs scores: (N,) integers in 0..K-1, -1 where unrated")
    s = np.asarray(scores)
    if s.ndim not in (1, 2) or s.size == 0:
        raise UserError(f"scores must be a non-empty (N,) or (N, R) array, got shape {s.shape}")
    if s.dtype.kind == "f":
        bad = np.argwhere(~np.isfinite(s))
        if bad.size:
            raise UserError(f"scores row {int(bad[0][0])} is NaN or infinite; mark unrated samples with -1")
        if (s != np.round(s)).any():
            raise TypeError("scores must be integers; round or compress ratings first")
    elif s.dtype.kind not in "iu":
        raise TypeError(f"scores must be integers, got dtype {s.dtype}")
    out: NDArray[np.int64] = (s[:, None] if s.ndim == 1 else s).astype(np.int64)
    bad = np.argwhere((out < -1) | (out >= K))
    if bad.size:
        n, r = (int(i) for i in bad[0])
        raise UserError(f"scores row {n} is {out[n, r]}, outside 0..{K - 1} (and not -1, unrated)")
    if out.shape[1] > 1 and method != "posterior":
        raise UserError(f"method {method!r} takes one rater's scores; several raters need method='posterior'")
    if method != "none" and (out < 0).all():
        raise UserError("no sample is rated")
    return out


def check_options(
    method: str,
    num_scores: int,
    k: int,
    confidence: float,
    hoc_solver: str,
    hoc_rounds: int,
    rounds: int,
    bootstrap: int,
    on_uninformative: str,
) -> None:
    for name, value, allowed in (
        ("method", method, get_args(Method)),
        ("hoc_solver", hoc_solver, get_args(HocSolver)),
        ("on_uninformative", on_uninformative, get_args(OnUninformative)),
    ):
        if value not in allowed:
            raise UserError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    for name, number, low in (
        ("num_scores", num_scores, 2),
        ("k", k, 1 if method == "posterior" else 2),
        ("hoc_rounds", hoc_rounds, 1),
        ("rounds", rounds, 1),
        ("bootstrap", bootstrap, 2 if bootstrap else 0),
    ):
        if isinstance(number, bool) or not isinstance(number, int | np.integer):
            raise TypeError(f"{name} must be an integer, got {number!r}")
        if number < low:
            raise UserError(f"{name} must be at least {low}, got {number}")
    if num_scores > 11:
        raise UserError(f"num_scores must be at most 11, got {num_scores}")
    if not 0 <= confidence <= 1:
        raise UserError(f"confidence must be in 0..1, got {confidence}")
