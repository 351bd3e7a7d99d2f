"""The graph: exact against brute force, deterministic, and plain about bad rows."""

import numpy as np
import pytest

from ds2.knn import KnnGraph, collapse_duplicates, knn_graph, search_exact, unit_rows


def brute_force(x, k):
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    distance = 1.0 - x @ x.T
    np.fill_diagonal(distance, np.inf)
    order = np.argsort(distance, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(distance, order, axis=1)


def test_equals_brute_force():
    x = np.random.default_rng(0).normal(size=(500, 16))
    near, distance = brute_force(x, 12)
    graph = knn_graph(x, 12)
    assert graph.neighbors.dtype == np.int32
    assert graph.distances.dtype == np.float32
    np.testing.assert_array_equal(graph.neighbors, near)
    np.testing.assert_allclose(graph.distances, distance, atol=1e-6)


def test_a_sample_is_never_its_own_neighbour_and_distances_ascend():
    x = np.random.default_rng(1).normal(size=(300, 8))
    graph = knn_graph(x, 20)
    assert (graph.neighbors != np.arange(300)[:, None]).all()
    assert (np.diff(graph.distances, axis=1) >= 0).all()
    assert all(len(set(row)) == 20 for row in graph.neighbors.tolist())


def test_the_scale_of_a_row_does_not_matter():
    x = np.random.default_rng(2).normal(size=(200, 8))
    scaled = x * np.geomspace(1e-150, 1e150, 200)[:, None]
    np.testing.assert_array_equal(knn_graph(x, 5).neighbors, knn_graph(scaled, 5).neighbors)


@pytest.mark.parametrize("copies", [2, 5, 40])
def test_exact_duplicates_are_the_first_neighbours_in_row_order(copies):
    x = np.random.default_rng(3).normal(size=(30, 6))
    rows = np.random.default_rng(4).permutation(np.repeat(np.arange(30), copies))
    graph = knn_graph(x[rows], 12)
    for n, row in enumerate(rows):
        others = [m for m in np.flatnonzero(rows == row) if m != n][:12]
        assert graph.neighbors[n, : len(others)].tolist() == others
        assert (graph.distances[n, : len(others)] == 0).all()
        assert n not in graph.neighbors[n]
        assert len(set(graph.neighbors[n].tolist())) == 12


def test_duplicates_leave_the_rest_equal_to_brute_force():
    x = np.random.default_rng(5).normal(size=(120, 10)).astype(np.float32)
    x = np.concatenate([x, x[:40]])
    graph = knn_graph(x, 9)
    _, distance = brute_force(x.astype(np.float64), 9)
    np.testing.assert_allclose(graph.distances, distance, atol=1e-6)


def test_one_dimension_and_all_rows_equal_work():
    line = knn_graph(np.array([[1.0], [2.0], [-1.0], [5.0]]), 3)
    assert line.neighbors[0].tolist() == [1, 3, 2]
    assert line.distances[0].tolist() == [0.0, 0.0, 2.0]
    same = knn_graph(np.ones((6, 3)), 4)
    assert same.neighbors[2].tolist() == [0, 1, 3, 4]


def test_k_is_cut_to_the_other_samples():
    assert knn_graph(np.eye(4), 64).k == 3


@pytest.mark.parametrize(("value", "word"), [(np.nan, "not finite"), (np.inf, "not finite"), (0.0, "zero")])
def test_the_first_bad_row_is_named(value, word):
    x = np.random.default_rng(6).normal(size=(50, 4))
    x[[17, 30]] = value
    with pytest.raises(ValueError, match=f"row 17 is {word}"):
        knn_graph(x, 3)


@pytest.mark.parametrize(
    ("x", "k", "error"),
    [
        (np.ones((5, 2)), 0, ValueError),
        (np.ones((5, 2)), 2.5, TypeError),
        (np.ones((1, 2)), 1, ValueError),
        (np.ones(5), 1, ValueError),
        (np.array([["a", "b"], ["c", "d"]]), 1, TypeError),
    ],
)
def test_inputs_that_cannot_work_are_refused(x, k, error):
    with pytest.raises(error):
        knn_graph(x, k)


def test_truncate_keeps_the_nearest():
    graph = knn_graph(np.random.default_rng(7).normal(size=(60, 5)), 10)
    assert graph.truncate(4).neighbors.tolist() == graph.neighbors[:, :4].tolist()
    with pytest.raises(ValueError, match="stores 10"):
        graph.truncate(11)


def test_a_graph_is_rebuilt_from_its_arrays():
    graph = knn_graph(np.random.default_rng(8).normal(size=(40, 5)), 6)
    again = KnnGraph(neighbors=graph.neighbors, distances=graph.distances)
    assert (again.num_samples, again.k) == (40, 6)
    with pytest.raises(ValueError, match="same shape"):
        KnnGraph(neighbors=graph.neighbors, distances=graph.distances[:, :3])


def test_the_approximate_graph_finds_nearly_all_neighbours():
    x = np.random.default_rng(9).normal(size=(3000, 12))
    exact, approximate = knn_graph(x, 10), knn_graph(x, 10, method="approximate")
    found = [
        len(set(a) & set(b))
        for a, b in zip(exact.neighbors.tolist(), approximate.neighbors.tolist(), strict=True)
    ]
    assert np.mean(found) / 10 > 0.95
    assert (approximate.neighbors != np.arange(3000)[:, None]).all()


def test_torch_search_equals_faiss():
    pytest.importorskip("torch")
    from ds2._knn_torch import search_torch

    x = unit_rows(np.random.default_rng(10).normal(size=(700, 24)))
    near, distance = search_torch(x[:300], x, 15, device="cpu")
    expected, expected_distance = search_exact(x[:300], x, 15)
    np.testing.assert_array_equal(near, expected)
    np.testing.assert_allclose(distance, expected_distance, atol=1e-6)


def test_collapse_duplicates_numbers_groups_by_first_appearance():
    x = np.array([[3, 0], [1, 0], [3, 0], [2, 0], [1, 0]], dtype=np.float32)
    first, group = collapse_duplicates(x)
    assert first.tolist() == [0, 1, 3]
    assert group.tolist() == [0, 1, 0, 2, 1]
