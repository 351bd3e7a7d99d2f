"""`curate` with anchors: an order moves as far as people show, out of sample, and stays where they do not."""

from __future__ import annotations

import json

import numpy as np
import pytest

import ds2
from ds2.base.dataclass_json import from_plain
from ds2.method.anchors import draw_anchors, membership
from ds2.method.curation.anchored import NEIGHBORS, STUDENT, check_told, posterior_with_anchors
from ds2.method.curation.inputs import Inputs
from ds2.method.curation.planted import ordinal_transition, plant_pool
from ds2.method.curation.result import Diagnostics
from ds2.method.knn import knn_graph


def pool_of(accuracy, purity, N=600, seed=0):
    return plant_pool(
        N, transitions=ordinal_transition(6, accuracy=accuracy), purity=purity, cluster_size=15, seed=seed
    )


def asked_of(pool, n=80, seed=0, **draw):
    drawn = draw_anchors(pool.scores, n=n, seed=seed, **draw)
    return {int(i): int(pool.true_scores[i]) for i in drawn.rows}, drawn.weight


def curated(pool, method="refine", anchors=None, weight=None, **settings):
    return ds2.curate(
        pool.embeddings, pool.scores, method=method, anchors=anchors, anchor_weight=weight, **settings
    )


def top_mean(order, true, but=()) -> float:
    left = np.setdiff1d(np.arange(len(true)), but)
    m = membership(np.asarray(order)[left], 0.1)
    return float(m @ true[left] / m.sum())


def test_refine_lets_the_score_yield_where_people_show_that_the_neighbours_know_more():
    pool = pool_of(0.4, 0.95)
    anchors, weight = asked_of(pool)
    before, after = curated(pool), curated(pool, anchors=anchors, weight=weight)
    shown = {test.name for test in after.diagnostics.anchors.evidence if test.shown}
    assert shown <= {STUDENT, NEIGHBORS}
    assert shown
    gain = [top_mean(r.refined, pool.true_scores, list(anchors)) for r in (before, after)]
    assert gain[1] > gain[0] + 0.1  # of samples that nobody was asked about
    assert "samples are ordered by the human score that they predict together" in after.diagnostics.verdict
    crossed = np.corrcoef(after.refined, pool.scores)[0, 1] < np.corrcoef(before.refined, pool.scores)[0, 1]
    assert crossed


def test_a_gain_that_people_cannot_show_is_refused_and_nothing_else_moves():
    pool = pool_of(0.9, 0.3)
    pool.embeddings[:] = np.random.default_rng(0).permutation(pool.embeddings)  # neighbours tell nothing
    anchors, weight = asked_of(pool)
    before, after = curated(pool), curated(pool, anchors=anchors, weight=weight)
    unasked = np.setdiff1d(np.arange(len(pool.scores)), list(anchors))
    assert not any(test.shown for test in after.diagnostics.anchors.evidence)
    assert np.array_equal(before.refined[unasked], after.refined[unasked])
    assert np.array_equal(before.curated[unasked], after.curated[unasked])
    assert "such a correction was refused" in after.diagnostics.verdict


def test_samples_that_people_scored_stand_where_their_score_puts_them():
    pool = pool_of(0.6, 0.6)
    anchors, weight = asked_of(pool)
    result = curated(pool, anchors=anchors, weight=weight)
    rows, said = np.array(list(anchors)), np.array(list(anchors.values()))
    assert np.array_equal(result.curated[rows], said)
    order = np.argsort(result.refined[rows], kind="stable")
    assert (np.diff(said[order]) >= 0).all()
    assert np.array_equal(result.asked.rows, rows)
    assert np.array_equal(result.asked.weight, weight)
    assert np.corrcoef(result.asked.order, result.refined[rows])[0, 1] < 0.99  # as if nobody had asked


def test_people_who_contradict_the_rater_move_nothing_and_the_verdict_says_so():
    pool = pool_of(0.8, 0.6, N=300)
    anchors = {i: int(5 - pool.scores[i]) for i in range(60)}
    before, after = curated(pool), curated(pool, anchors=anchors)
    assert np.array_equal(before.refined, after.refined)
    assert "Where this rater scores higher, people do not" in after.diagnostics.verdict


@pytest.mark.parametrize(("accuracy", "purity", "kept"), [(0.45, 0.95, False), (0.95, 0.3, True)])
def test_posterior_replaces_scores_only_where_people_show_that_it_predicts_them_better(
    accuracy, purity, kept
):
    pool = pool_of(accuracy, purity)
    anchors, weight = asked_of(pool)
    result = curated(pool, "posterior", anchors, weight)
    unasked = np.setdiff1d(np.arange(len(pool.scores)), list(anchors))
    assert result.diagnostics.kept_raw is kept
    assert np.array_equal(result.curated[unasked], pool.scores[unasked]) is kept
    assert np.allclose(result.posterior.sum(axis=1), 1)
    assert ("it was refused" in result.diagnostics.verdict) is kept
    given, order = (
        top_mean(o, pool.true_scores, list(anchors)) for o in (pool.scores, result.posterior_mean)
    )
    assert order >= given if kept else order > given + 0.1


def test_a_posterior_that_is_refused_still_fills_in_what_is_unrated():
    T = ordinal_transition(6, accuracy=0.95)
    pool = plant_pool(900, transitions=T, purity=0.3, unrated=0.3, cluster_size=15, seed=0)
    anchors, weight = asked_of(pool)
    result = curated(pool, "posterior", anchors, weight)
    assert result.diagnostics.kept_raw
    assert (result.curated >= 0).all()


def test_an_anchor_s_place_had_it_not_been_asked_does_not_know_its_own_answer():
    pool = pool_of(0.5, 0.95, N=300)
    anchors, weight = asked_of(pool, n=30)
    row = next(iter(anchors))
    inputs = Inputs(pool.scores[:, None], knn_graph(pool.embeddings, 10), None, None)
    (fit, unasked), (other_fit, other) = (
        posterior_with_anchors(
            inputs, check_told({**anchors, row: said}, weight, 300, 6), 6, k=10, seed=0, transition=None
        )
        for said in (0, 5)
    )
    assert (fit.posterior[row].argmax(), other_fit.posterior[row].argmax()) == (0, 5)
    assert unasked[0] == other[0]


def test_what_anchors_say_survives_json_and_repeats_bit_for_bit():
    pool = pool_of(0.6, 0.6)
    anchors, weight = asked_of(pool)
    first, again = (curated(pool, "refine", anchors, weight) for _ in range(2))
    assert np.array_equal(first.refined, again.refined)
    told = first.diagnostics
    assert from_plain(Diagnostics, json.loads(json.dumps(told.to_dict()))).anchors == told.anchors
    accuracy = told.anchors.rater.accuracy
    assert accuracy.low <= 0.6 <= accuracy.high
