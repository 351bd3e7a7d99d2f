"""`rank` end to end: the paper's method, equal to the authors' code."""

import numpy as np
import pytest

import ds2


@pytest.mark.parametrize("name", ["a", "b"])
def test_curated_scores_agree_with_the_authors(golden, name):
    z = golden(name)
    result = ds2.curate(z["features"], z["score"], graph=z["graph"], method="rank")
    assert (result.curated == z["curated"]).mean() >= 0.95
    assert np.abs(result.transition - z["T"]).max() <= 0.05
    assert np.abs(result.transition - z["T"]).mean() <= 0.01
    np.testing.assert_allclose(result.long_tail, z["long_tail"], atol=2e-3)


def test_the_duplicated_pool_agrees_with_the_released_code(golden):
    z = golden("a")
    result = ds2.curate(z["features"], z["score"], graph=z["graph"], duplicate_pool=True, method="rank")
    assert (result.curated == z["dup_curated"]).mean() >= 0.95
    assert np.abs(result.transition - z["dup_T"]).max() <= 0.05
    np.testing.assert_allclose(result.long_tail, z["dup_long_tail"], atol=2e-3)


def test_curation_makes_planted_scores_better(pool, pool_graph):
    result = ds2.curate(pool.embeddings, pool.scores, graph=pool_graph, method="rank")
    raw, after = ((s == pool.true_scores).mean() for s in (pool.scores, result.curated))
    assert after > raw + 0.2


def test_duplicating_the_pool_fakes_agreement(pool, pool_graph):
    plain = ds2.curate(pool.embeddings, pool.scores, graph=pool_graph, method="rank")
    doubled = ds2.curate(pool.embeddings, pool.scores, graph=pool_graph, duplicate_pool=True, method="rank")
    assert np.diag(doubled.transition).mean() > np.diag(plain.transition).mean() + 0.1


def test_the_same_seed_gives_the_same_result(pool, pool_graph):
    one, two, other = (
        ds2.curate(pool.embeddings, pool.scores, graph=pool_graph, seed=seed, method="rank")
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one.confidence, two.confidence)
    assert (one.confidence != other.confidence).any()


def test_a_graph_alone_is_enough_where_it_is_long_enough(pool, pool_graph):
    with_rows = ds2.curate(pool.embeddings, pool.scores, graph=pool_graph, method="rank")
    alone = ds2.curate(scores=pool.scores, graph=pool_graph, method="rank")
    np.testing.assert_array_equal(with_rows.curated, alone.curated)
    with pytest.raises(ValueError, match="graph of about"):
        ds2.curate(scores=pool.scores, graph=pool_graph.truncate(9), method="rank")


def test_a_short_graph_with_embeddings_gives_what_a_long_one_does(pool, pool_graph):
    short = ds2.curate(pool.embeddings, pool.scores, graph=pool_graph.truncate(9), method="rank")
    np.testing.assert_array_equal(
        short.curated, ds2.curate(pool.embeddings, pool.scores, graph=pool_graph, method="rank").curated
    )


def test_inputs_are_left_as_they_were(pool, pool_graph):
    x, s = pool.embeddings * 3, pool.scores.copy()
    before, near = x.copy(), pool_graph.distances.copy()
    ds2.curate(x, s, graph=pool_graph, method="rank")
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(s, pool.scores)
    np.testing.assert_array_equal(pool_graph.distances, near)
