"""Embeddings, graph and values: arrays of one type each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ds2.artifacts.embeddings import read_embeddings, write_embeddings
from ds2.artifacts.graph import read_graph, write_graph
from ds2.artifacts.values import SCRATCH, read_values, workspace, write_values
from ds2.base.errors import DamagedArtifact
from ds2.method.knn import KnnGraph


def test_embeddings_come_back_mapped_from_disk(tmp_path: Path) -> None:
    vectors = np.eye(3, 4, dtype=np.float32)
    assert write_embeddings(tmp_path, 3, [vectors[:2], vectors[2:]]) == 4
    back = read_embeddings(tmp_path)
    assert isinstance(back, np.memmap)
    assert np.array_equal(back, vectors)


def test_a_graph_comes_back(tmp_path: Path) -> None:
    graph = KnnGraph(np.array([[1], [0]], dtype=np.int32), np.array([[0.5], [0.5]], dtype=np.float32))
    write_graph(tmp_path, graph)
    back = read_graph(tmp_path)
    assert np.array_equal(back.neighbors, graph.neighbors)
    assert np.array_equal(back.distances, graph.distances)
    assert (back.neighbors.dtype, back.distances.dtype) == (np.int32, np.float32)


@pytest.mark.parametrize("values", [np.array([0.5, np.nan]), np.array([[0.5, 1.0], [np.nan, np.nan]])])
def test_values_come_back_and_only_their_parts_are_scratch(tmp_path: Path, values: np.ndarray) -> None:
    places = workspace(tmp_path)
    for folder in (places.parts, places.warm_up, places.directions):
        folder.mkdir()
    write_values(tmp_path, values)
    assert np.array_equal(read_values(tmp_path), values, equal_nan=True)
    assert [tmp_path / name for name in SCRATCH] == [places.parts]


@pytest.mark.parametrize(
    ("file", "read"),
    [
        ("embeddings.npy", read_embeddings),
        ("neighbors.npy", read_graph),
        ("values.npy", read_values),
    ],
)
@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda path: path.write_bytes(b"\x93NUMPY"), "is damaged: "),
        (lambda path: np.save(path, np.zeros((2, 2), dtype=np.int8)), "is damaged: an array of int8"),
        (lambda path: np.save(path, np.array([{}], dtype=object)), "is damaged: "),
        (lambda path: path.unlink(missing_ok=True), "is damaged: there is no such file"),
    ],
)
def test_a_damaged_array_is_named_in_one_line(tmp_path: Path, file, read, damage, named) -> None:
    damage(tmp_path / file)
    with pytest.raises(DamagedArtifact, match=f"{file} {named}") as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_graph_of_two_shapes_is_refused(tmp_path: Path) -> None:
    graph = KnnGraph(np.array([[1], [0]], dtype=np.int32), np.array([[0.5], [0.5]], dtype=np.float32))
    write_graph(tmp_path, graph)
    np.save(tmp_path / "distances.npy", np.zeros((2, 2), dtype=np.float32))
    with pytest.raises(DamagedArtifact, match=r"distances\.npy is damaged: shape \(2, 2\)"):
        read_graph(tmp_path)
