"""Every round's neighbours come from one graph, and are those of an exact search of its subsample."""

import numpy as np
import pytest

import ds2
from ds2.method.curation.planted import ordinal_transition, plant_pool
from ds2.method.curation.subsample import graph_width, neighbors_within, subsample_size
from ds2.method.knn import knn_graph, unit_rows


def brute_force_within(x, drawn, k):
    distance = 1.0 - x[drawn].astype(np.float64) @ x[drawn].astype(np.float64).T
    np.fill_diagonal(distance, np.inf)
    order = np.argsort(distance, axis=1, kind="stable")[:, :k]
    return drawn[order], np.take_along_axis(distance, order, axis=1)


@pytest.mark.parametrize("share", [0.9, 0.5, 1 / 6])
@pytest.mark.parametrize("width", [12, 64])
def test_neighbours_within_a_subsample_equal_brute_force_on_it(share, width):
    x = unit_rows(np.random.default_rng(0).normal(size=(1200, 10)))
    graph = knn_graph(x, width)
    rng = np.random.default_rng(1)
    for _ in range(4):
        drawn = np.sort(rng.choice(1200, int(1200 * share), replace=False))
        rows, distances = brute_force_within(x, drawn, 9)
        near = neighbors_within(graph, drawn, 9, x)
        np.testing.assert_array_equal(near.rows, rows)
        np.testing.assert_allclose(near.distances, distances, atol=1e-6)


def test_a_graph_that_runs_out_without_embeddings_names_the_k_needed():
    x = unit_rows(np.random.default_rng(2).normal(size=(600, 6)))
    drawn = np.arange(0, 600, 6)
    with pytest.raises(
        ValueError, match=r"among the 12 stored; .* graph of about (\d+) neighbours"
    ) as refused:
        neighbors_within(knn_graph(x, 12), drawn, 9)
    needed = int(str(refused.value).split("about ")[1].split()[0])
    neighbors_within(knn_graph(x, needed), drawn, 9)


def test_the_order_of_the_draw_does_not_matter():
    x = unit_rows(np.random.default_rng(3).normal(size=(300, 6)))
    graph = knn_graph(x, 20)
    drawn = np.random.default_rng(4).permutation(300)[:200]
    a = neighbors_within(graph, drawn, 5, x).rows[np.argsort(drawn)]
    np.testing.assert_array_equal(a, neighbors_within(graph, np.sort(drawn), 5, x).rows)


def test_a_subsample_too_small_for_k_is_refused():
    x = unit_rows(np.random.default_rng(5).normal(size=(30, 4)))
    with pytest.raises(ValueError, match="9 neighbours were asked of a subsample of 6"):
        neighbors_within(knn_graph(x, 9), np.arange(6), 9, x)


def test_sizes_follow_the_authors():
    assert subsample_size(3000) == 2700
    assert subsample_size(300_932) == 50_000
    assert graph_width(3000, 9) < 20
    assert 90 <= graph_width(300_932, 9) <= 140


def test_where_few_are_rated_a_narrow_graph_and_exact_searches_give_the_same():
    assert graph_width(5000, 9, 100) == 128 + 1  # steps of 4 from k
    pool = plant_pool(5000, transitions=ordinal_transition(6), cluster_size=100, unrated=0.98, seed=0)
    narrow = ds2.curate(pool.embeddings, pool.scores, method="rank")
    wide = ds2.curate(pool.embeddings, pool.scores, graph=knn_graph(pool.embeddings, 2000), method="rank")
    np.testing.assert_array_equal(narrow.curated, wide.curated)
    np.testing.assert_array_equal(narrow.confidence, wide.confidence)
