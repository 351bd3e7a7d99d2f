"""The long-tail score."""

import numpy as np

from ds2.method.diversity import long_tail_scores
from ds2.method.knn import KnnGraph, knn_graph


def test_is_the_papers_formula_with_k_counting_the_sample():
    graph = KnnGraph(np.array([[1, 2], [0, 2], [0, 1]]), np.array([[0.1, 0.2], [0.1, 0.4], [0.2, 0.4]]))
    x = np.array([0 + 0.1 + 0.2, 0 + 0.1 + 0.4, 0 + 0.2 + 0.4]) / 3
    np.testing.assert_allclose(long_tail_scores(graph, k=3), 2 / (1 + np.exp(-x)) - 1, rtol=1e-6)


def test_one_other_is_counted_even_where_k_is_the_sample_alone():
    graph = knn_graph(np.random.default_rng(1).normal(size=(30, 3)), 5)
    np.testing.assert_array_equal(long_tail_scores(graph, k=1), long_tail_scores(graph, k=2))


def test_a_lone_sample_scores_higher_than_a_crowded_one():
    rng = np.random.default_rng(0)
    crowd = np.array([1.0, 0, 0]) + 0.01 * rng.normal(size=(50, 3))
    scores = long_tail_scores(knn_graph(np.concatenate([crowd, [[0, 0, 1.0]]]), 10))
    assert scores.argmax() == 50
    assert ((scores >= 0) & (scores < 1)).all()


def test_a_pool_smaller_than_k_uses_what_there_is():
    scores = long_tail_scores(knn_graph(np.eye(3), 10), k=10)
    np.testing.assert_allclose(scores, np.tanh((0 + 1 + 1) / 3 / 2))
