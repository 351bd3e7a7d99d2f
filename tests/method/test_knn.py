"""The graph: exact against brute force, deterministic, and plain about bad rows."""

import re

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from ds2.method.curation.planted import plant_pool
from ds2.method.knn import KnnGraph, collapse_duplicates, knn_graph, unit_rows
from ds2.method.knn_faiss import search_exact


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


@pytest.mark.parametrize("method", ["exact", "approximate"])
def test_the_number_of_threads_does_not_change_a_bit(method):
    """Large enough that a search by BLAS with two threads rounds one distance in 25 otherwise than with
    one.
    """
    import faiss  # noqa: F401  (a limit reaches the libraries that are loaded)

    x = np.random.default_rng(0).normal(size=(5000, 64))
    graphs = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            graphs.append(knn_graph(x, 32, method=method))
    np.testing.assert_array_equal(graphs[0].neighbors, graphs[1].neighbors)
    np.testing.assert_array_equal(graphs[0].distances, graphs[1].distances)


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
        ([[1.0, 2.0], [3.0]], 1, TypeError),
        (np.ma.masked_greater(np.arange(1.0, 11).reshape(5, 2), 6), 1, ValueError),
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
    with pytest.raises(ValueError, match="at least 1"):
        graph.truncate(0)
    for k in ("a", 2.0):
        with pytest.raises(TypeError, match="k must be an integer"):
            graph.truncate(k)


def test_a_graph_is_rebuilt_from_its_arrays():
    graph = knn_graph(np.random.default_rng(8).normal(size=(40, 5)), 6)
    again = KnnGraph(neighbors=graph.neighbors, distances=graph.distances)
    assert (again.num_samples, again.k) == (40, 6)


@pytest.mark.parametrize(
    ("neighbors", "distances", "error", "words"),
    [
        ([[1], [0]], [[0.5], [0.5]], TypeError, "numpy arrays"),
        (np.array([[1], [0]]), np.zeros((2, 2)), ValueError, "same shape"),
        (np.zeros((0, 3), int), np.zeros((0, 3)), ValueError, "at least one"),
        (np.array([[1.0], [0.0]]), np.zeros((2, 1)), TypeError, "integer neighbors"),
        (np.array([[1], [0]]), np.zeros((2, 1), int), TypeError, "float distances"),
        (np.array([[1], [2]]), np.zeros((2, 1)), ValueError, "rows 0..1, got 1 to 2"),
        (np.array([[1], [-1]]), np.zeros((2, 1)), ValueError, "got -1 to 1"),
        (np.array([[1], [1]]), np.zeros((2, 1)), ValueError, "its own neighbor"),
        (np.array([[1, 2]] + [[0, 3 - n] for n in (1, 2)]), np.array([[0.2, 0.1]] * 3), ValueError, "ascend"),
        (np.array([[1], [0]]), np.array([[0.1], [np.nan]]), ValueError, "finite"),
        (np.array([[1], [0]]), np.array([[0.1], [np.inf]]), ValueError, "finite"),
        (np.array([[1], [0]]), np.array([[0.1], [-0.1]]), ValueError, "at least 0"),
    ],
)
def test_arrays_that_are_no_graph_are_refused_before_anything_reads_them(neighbors, distances, error, words):
    with pytest.raises(error, match=words):
        KnnGraph(neighbors, distances)


def test_the_approximate_search_does_not_pretend_to_use_a_gpu():
    with pytest.raises(ValueError, match="CPU only"):
        knn_graph(np.eye(4), 2, method="approximate", device="cuda")


def recall(graph, true):
    pairs = zip(graph.neighbors.tolist(), true.neighbors.tolist(), strict=True)
    return np.mean([len(set(a) & set(b)) / true.k for a, b in pairs])


def rows_are_sound(graph):
    itself = np.arange(graph.num_samples)[:, None]
    return (
        (graph.neighbors >= 0).all()
        and (graph.neighbors != itself).all()
        and all(len(set(row)) == graph.k for row in graph.neighbors.tolist())
        and (np.diff(graph.distances, axis=1) >= 0).all()
    )


@pytest.mark.parametrize("spread", [0.3, 0.8, 3.0])
def test_the_approximate_graph_finds_nearly_all_neighbours(spread):
    x = plant_pool(6000, transitions=np.eye(3), dimensions=24, spread=spread, seed=9).embeddings
    exact, approximate = knn_graph(x, 10), knn_graph(x, 10, method="approximate")
    assert recall(approximate, exact) >= 0.95
    assert rows_are_sound(approximate)


def test_the_approximate_graph_is_the_same_twice():
    x = np.random.default_rng(11).normal(size=(3000, 12))
    one, two = knn_graph(x, 10, method="approximate"), knn_graph(x, 10, method="approximate")
    np.testing.assert_array_equal(one.neighbors, two.neighbors)
    np.testing.assert_array_equal(one.distances, two.distances)


@pytest.mark.parametrize("n", [2, 3, 39, 80, 320])
def test_the_approximate_graph_of_a_small_pool_is_exact(n):
    x = np.random.default_rng(12).normal(size=(n, 5))
    exact, approximate = knn_graph(x, 20), knn_graph(x, 20, method="approximate")
    assert approximate.k == min(20, n - 1)
    np.testing.assert_array_equal(approximate.neighbors, exact.neighbors)


def test_rows_whose_cells_hold_too_few_are_searched_exactly():
    rng = np.random.default_rng(13)
    cells = unit_rows(rng.normal(size=(100, 32)))[np.repeat(np.arange(100), 40)]
    x = cells + 0.01 * rng.normal(size=(4000, 32))  # 8 cells hold 320 samples
    exact, approximate = knn_graph(x, 700), knn_graph(x, 700, method="approximate")
    assert rows_are_sound(approximate)
    assert recall(approximate, exact) > 0.99


def test_the_approximate_graph_puts_exact_duplicates_first():
    x = np.random.default_rng(14).normal(size=(1500, 8))
    rows = np.random.default_rng(15).permutation(np.repeat(np.arange(1500), 3))
    graph = knn_graph(x[rows], 12, method="approximate")
    assert rows_are_sound(graph)
    for n in range(0, len(rows), 50):
        copies = [m for m in np.flatnonzero(rows == rows[n]) if m != n]
        assert graph.neighbors[n, :2].tolist() == copies
    assert (graph.distances[:, :2] == 0).all()
    assert recall(graph, knn_graph(x[rows], 12)) > 0.95


@pytest.mark.parametrize(
    "block", [65536, 100, 10]
)  # all at once; blocks that are merged; fewer rows than k in a block
def test_torch_search_equals_faiss(block, monkeypatch):
    pytest.importorskip("torch")
    from ds2.method import knn_torch as _knn_torch
    from ds2.method.knn_torch import search_torch

    monkeypatch.setattr(_knn_torch, "BASE", block)
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


def test_without_structure_every_pair_is_compared_which_is_never_slower_than_the_cells():
    rng = np.random.default_rng(0)
    noise = knn_graph(rng.standard_normal((6000, 64)), 10, method="approximate")
    assert noise.search.startswith("every pair: ")
    centres = rng.standard_normal((200, 64))
    grouped = centres[rng.integers(0, 200, 6000)] + 0.2 * rng.standard_normal((6000, 64))
    near = knn_graph(grouped, 10, method="approximate")
    told = re.fullmatch(r"\d+ of \d+ cells: (\d+\.\d)% of the nearest 10 of 1,000 rows found", near.search)
    exact = knn_graph(grouped, 10)
    found = [len(np.intersect1d(*both)) for both in zip(near.neighbors, exact.neighbors, strict=True)]
    assert told
    assert float(told[1]) >= 96
    assert np.mean(found) / 10 == pytest.approx(float(told[1]) / 100, abs=0.02)
    assert knn_graph(grouped[:50], 10).search == "every pair"
