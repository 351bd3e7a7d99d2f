"""The graph of cuVS, by a stand-in that computes on the CPU: what it says is checked before it is used."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import ds2
from ds2.base.errors import UserError
from ds2.method import knn_cuvs
from ds2.method.knn import knn_graph, unit_rows
from ds2.method.knn_cuvs import search_cuvs
from ds2.method.knn_faiss import EVERY_PAIR, search_exact

torch = pytest.importorskip("torch")

ROWS, K = 600, 12


@pytest.fixture
def x():
    return unit_rows(np.random.default_rng(0).normal(size=(ROWS, 16)))


@pytest.fixture
def cuvs(monkeypatch):
    """Says `spoil(neighbours)` in place of the true ones, with the arguments that cuVS 25.10 names."""
    told = SimpleNamespace(spoil=lambda near: near, asked=None)

    class IndexParams:
        def __init__(self, *, metric, graph_degree, intermediate_graph_degree, max_iterations):
            assert metric == "sqeuclidean"
            assert intermediate_graph_degree >= graph_degree
            assert max_iterations > 0
            self.graph_degree = graph_degree

    class AllNeighborsParams:
        def __init__(self, *, algo, overlap_factor, n_clusters, metric, nn_descent_params):
            assert (algo, metric, n_clusters) == ("nn_descent", "sqeuclidean", 1)
            self.descent = nn_descent_params

    def build(dataset, k, params, *, indices):
        assert dataset.dtype == torch.float32
        assert indices.dtype == torch.int64
        assert indices.shape == (len(dataset), k)
        assert params.descent.graph_degree == k
        rows = dataset.numpy()
        near, _ = search_exact(rows, rows, k)
        told.asked = k
        indices.copy_(torch.from_numpy(told.spoil(near.astype(np.int64))))

    neighbors = ModuleType("cuvs.neighbors")
    neighbors.all_neighbors = SimpleNamespace(AllNeighborsParams=AllNeighborsParams, build=build)
    neighbors.nn_descent = SimpleNamespace(IndexParams=IndexParams)
    monkeypatch.setitem(sys.modules, "cuvs", ModuleType("cuvs"))
    monkeypatch.setitem(sys.modules, "cuvs.neighbors", neighbors)
    monkeypatch.setattr(knn_cuvs, "_WORTH_FROM", 100)
    return told


def assert_equals_exact(x, near, dist):
    expected, distances = search_exact(x, x, K)
    np.testing.assert_array_equal(near, expected)
    np.testing.assert_allclose(dist, distances, atol=1e-6)


def test_neighbours_in_any_order_become_ascending_ones_with_their_distances(x, cuvs):
    cuvs.spoil = lambda near: np.random.default_rng(1).permuted(near, axis=1)
    near, dist, search = search_cuvs(x, K, device="cpu")
    assert cuvs.asked == K
    assert near.dtype == np.int32
    assert_equals_exact(x, near, dist)
    assert search == "NN-descent: 100.0% of the nearest 10 of 600 rows found"


@pytest.mark.parametrize("wrong", [-1, ROWS, 2**32 + 3, "twice"])
def test_a_row_that_was_not_given_k_rows_is_searched_again(x, cuvs, wrong):
    def spoil(near):
        near[::50, 4] = near[::50, 5] if wrong == "twice" else wrong
        return near

    cuvs.spoil = spoil
    near, dist, search = search_cuvs(x, K, device="cpu")
    assert_equals_exact(x, near, dist)
    assert search.startswith("NN-descent")


def test_too_few_of_the_nearest_are_refused_and_every_pair_is_compared(x, cuvs):
    def spoil(near):
        near[:, 6:] = (np.arange(ROWS)[:, None] + np.arange(100, 100 + K - 6)) % ROWS
        return near

    cuvs.spoil = spoil
    near, dist, search = search_cuvs(x, K, device="cpu")
    assert_equals_exact(x, near, dist)
    found = float(search.removeprefix(f"{EVERY_PAIR}: NN-descent found ").partition("%")[0])
    assert 50 <= found < 60  # 5 of 10, and a few of the others by chance


def test_some_missing_neighbours_are_told(x, cuvs):
    def spoil(near):
        near[::5, -1] = (near[::5, 0] + 300) % ROWS
        return near

    cuvs.spoil = spoil
    _, dist, search = search_cuvs(x, K, device="cpu")
    assert search.startswith("NN-descent: ")
    assert (np.diff(dist, axis=1) >= 0).all()


def test_few_rows_are_compared_all_with_all(x, cuvs, monkeypatch):
    monkeypatch.setattr(knn_cuvs, "_WORTH_FROM", ROWS + 1)
    near, dist, search = search_cuvs(x, K, device="cpu")
    assert cuvs.asked is None
    assert_equals_exact(x, near, dist)
    assert search == EVERY_PAIR


def test_without_the_package_one_line_says_so(x, monkeypatch):
    monkeypatch.setattr(knn_cuvs, "_WORTH_FROM", 100)
    monkeypatch.setitem(sys.modules, "cuvs", None)
    monkeypatch.setitem(sys.modules, "cuvs.neighbors", None)
    with pytest.raises(UserError, match="needs cuVS 25.10"):
        search_cuvs(x, K, device="cpu")


def test_a_graph_is_made_of_what_was_found_without_the_rows_themselves(x, cuvs, monkeypatch):
    monkeypatch.setattr(knn_cuvs.search_cuvs, "__kwdefaults__", {"device": "cpu"})
    graph = knn_graph(x, K - 1, method="cuvs", device="cuda")
    np.testing.assert_array_equal(graph.neighbors, knn_graph(x, K - 1).neighbors)
    assert graph.search.startswith("NN-descent")


def test_on_a_cpu_it_is_refused(x):
    with pytest.raises(UserError, match="method='cuvs' searches on a GPU only"):
        knn_graph(x, K, method="cuvs")


def test_a_run_is_refused_before_it_begins():
    with pytest.raises(UserError) as refused:
        ds2.run(["experiment=mini", "knn=cuvs", "knn.runtime.device=cpu", "tracking=none"])
    assert "knn=cuvs searches on a GPU only" in str(refused.value)
    assert "needs the package cuvs" in str(refused.value)
