"""The farthest from their neighbours first: the paper's baseline `KNN-10` (section 5).

    value_n = mean of D(n, m) over the k nearest others m,  D = 1 - cosine

Ties by row.
"""

from __future__ import annotations

import numpy as np

from ds2.base.errors import UserError
from ds2.config.selection import KnnSelectionConfig
from ds2.selection.request import Choice, Request
from ds2.selection.top import choose_top


def choose(request: Request[KnnSelectionConfig]) -> Choice:
    """The `budget` samples farthest from their neighbours."""
    k, graph = request.config.k, request.graph
    if not 1 <= k <= graph.k:
        raise UserError(f"selection.k={k}: the graph stores {graph.k} neighbours; lower it, or raise knn.k")
    distance = np.asarray(graph.distances[:, :k].mean(axis=1, dtype=np.float64))
    return choose_top(request, distance, lambda value: f"mean distance {value:.4f} to {k} neighbours")
