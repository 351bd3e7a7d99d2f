"""The graph: `neighbors.npy` (N, k) int32 and `distances.npy` (N, k) float32, self excluded, ascending."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ds2.method.knn import KnnGraph


def write_graph(folder: Path, graph: KnnGraph) -> None:
    np.save(folder / "neighbors.npy", graph.neighbors)
    np.save(folder / "distances.npy", graph.distances)


def read_graph(folder: Path) -> KnnGraph:
    return KnnGraph(
        neighbors=np.load(folder / "neighbors.npy", mmap_mode="r", allow_pickle=False),
        distances=np.load(folder / "distances.npy", mmap_mode="r", allow_pickle=False),
    )
