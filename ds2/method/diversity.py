"""Long-tail diversity: how far a sample lies from the others.

    x_n         = (0 + D(n, 1st) + ... + D(n, (k-1)-th nearest other)) / k      k counts the sample itself
    long_tail_n = 2 / (1 + exp(-x_n)) - 1                                       increasing in x_n, in [0, 1)

Higher is rarer. Source: DS2 (arXiv 2410.10877) section 4.3 and the authors' code, which counts the sample
among its k = 10.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ds2.method.knn import KnnGraph


def long_tail_scores(graph: KnnGraph, k: int = 10) -> NDArray[np.float64]:
    """Long-tail score of every sample, (N,); k counts the sample itself: 1 to graph.k others are averaged,
    whatever k.
    """
    others = min(max(k - 1, 1), graph.k)
    mean_distance = graph.distances[:, :others].sum(axis=1, dtype=np.float64) / (others + 1)
    return np.asarray(np.tanh(mean_distance / 2))  # = 2 / (1 + exp(-x)) - 1
