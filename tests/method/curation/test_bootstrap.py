"""The bootstrap: intervals as wide as estimates scatter, wrong scores known, selections compared."""

import numpy as np
import pytest

import ds2
from ds2.method.curation.planted import ordinal_transition, plant_pool


@pytest.mark.parametrize("method", ["rank", "posterior"])
def test_the_bootstrap_covers_the_planted_matrix_and_knows_wrong_scores(method, pool, pool_graph):
    result = ds2.curate(pool.embeddings, pool.scores, graph=pool_graph, method=method, bootstrap=12)
    u = result.uncertainty
    assert (u.transition.low <= u.transition.high).all()
    for estimate, interval in ((result.transition, u.transition), (result.prior, u.prior)):
        assert ((interval.low <= estimate) & (estimate <= interval.high)).all()
    inside = (u.transition.low - 0.05 <= pool.transitions[0]) & (
        pool.transitions[0] <= u.transition.high + 0.05
    )
    assert inside.mean() > 0.8
    wrong = pool.scores != pool.true_scores
    assert u.error_probability[wrong].mean() > u.error_probability[~wrong].mean() + 0.4
    assert u.clusterability.low[0] < result.diagnostics.clusterability.ratio < u.clusterability.high[0]
    assert ((u.stability > 0.3) & (u.stability <= 1)).all()


@pytest.mark.parametrize(("method", "narrowest"), [("posterior", 0.85), ("rank", 0.6)])
def test_intervals_are_about_as_wide_as_the_estimates_of_other_pools_scatter(method, narrowest):
    results = []
    for seed in range(8):
        pool = plant_pool(
            1000, transitions=ordinal_transition(4, accuracy=0.65), cluster_size=12, purity=0.95, seed=seed
        )
        results.append(ds2.curate(pool.embeddings, pool.scores, num_scores=4, method=method, bootstrap=8))
    for name in ("transition", "prior"):
        scatter = np.std([getattr(f, name) for f in results], axis=0, ddof=1).mean()
        intervals = [getattr(f.uncertainty, name) for f in results]
        width = np.mean([i.high - i.low for i in intervals])
        assert narrowest < width / (2 * 1.96 * scatter) < 1.5


def test_a_sample_that_is_many_others_neighbor_weighs_no_more_in_a_resample(pool_graph):
    from ds2.method.curation.bootstrap import _draws

    near = pool_graph.truncate(10)
    popularity = np.bincount(near.neighbors.ravel(), minlength=near.num_samples)
    mean = np.mean(list(_draws(near, 400, np.random.default_rng(0))), axis=0)
    most, least = popularity >= np.quantile(popularity, 0.9), popularity <= np.quantile(popularity, 0.1)
    assert mean[most].mean() == pytest.approx(mean[least].mean(), abs=0.03)


def test_ranks_intervals_are_those_of_the_triples_it_was_fitted_on_where_hardly_any_sample_is_rated():
    pool = plant_pool(
        3000, transitions=ordinal_transition(4, accuracy=0.65), cluster_size=60, unrated=0.97, seed=0
    )
    result = ds2.curate(pool.embeddings, pool.scores, num_scores=4, bootstrap=8, method="rank")
    interval = result.uncertainty.transition
    assert 0.2 < (interval.high - interval.low).mean() < 0.8  # 90 rated samples tell little, not nothing
