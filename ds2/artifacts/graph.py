"""The graph: each sample's k nearest others (N, k) int32 and their distances (N, k) float32, ascending."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ds2.artifacts.reading import damaged, read_array
from ds2.base.number_files import write_array
from ds2.method.knn import KnnGraph

_NEIGHBORS, _DISTANCES = "neighbors.npy", "distances.npy"


def write_graph(folder: Path, graph: KnnGraph) -> None:
    """The two arrays."""
    write_array(folder / _NEIGHBORS, graph.neighbors)
    write_array(folder / _DISTANCES, graph.distances)


def read_graph(folder: Path) -> KnnGraph:
    """The graph, mapped from disk. Raises DamagedArtifact."""
    neighbors = read_array(folder / _NEIGHBORS, np.int32, dimensions=(2,), mapped=True)
    distances = read_array(folder / _DISTANCES, np.float32, dimensions=(2,), mapped=True)
    if neighbors.shape != distances.shape:
        raise damaged(folder / _DISTANCES, f"shape {distances.shape}, not the neighbours' {neighbors.shape}")
    return KnnGraph(neighbors=neighbors, distances=distances)
