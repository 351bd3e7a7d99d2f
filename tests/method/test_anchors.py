"""Anchors: the draw is unbiased, gains are shown out of sample or refused, intervals hold, posterior yields
to people.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

import ds2
from ds2.base.dataclass_json import from_plain, to_plain
from ds2.base.errors import UserError
from ds2.method.anchor_estimates import weighted_mean, weighted_share
from ds2.method.anchor_evidence import left_out_errors, try_evidence
from ds2.method.anchor_judgement import Judgement, judge_anchors
from ds2.method.anchors import GIVEN, draw_anchors, inclusion, membership
from ds2.method.curation.composition import run_em, start_from
from ds2.method.curation.evidence import gather_evidence, neighbor_edges
from ds2.method.curation.planted import ordinal_transition, plant_pool
from ds2.method.knn import knn_graph
from ds2.method.stated import check_stated, transition_from_anchors, transition_of_accuracy


def rated_pool(N=2000, accuracy=0.6, help=0.0, seed=0):
    """True scores, a rater's scores and a column of evidence that carries `help` of the truth, (N,) each."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 6, N)
    T = ordinal_transition(6, accuracy=accuracy)
    given = (rng.random((N, 1)) > np.cumsum(T, axis=1)[true]).sum(axis=1).clip(0, 5)
    column = help * (true - 2.5) / 1.7 + np.sqrt(1 - help**2) * rng.normal(size=N)
    return true, given, column


def asked(true, drawn) -> dict[int, int]:
    return {int(i): int(true[i]) for i in drawn.rows}


def top_mean(order, true, share=0.1) -> float:
    m = membership(order, share)
    return float(m @ true / m.sum())


def test_the_draw_asks_exactly_n_with_the_probabilities_it_writes():
    _, given, column = rated_pool(400)
    members = np.stack([membership(given, 0.1), membership(given + 1e-3 * column, 0.1)])
    pi = inclusion(given, members, 60)
    assert pi.sum() == pytest.approx(60)
    assert pi.max() <= 1
    counts = np.zeros(400)
    for seed in range(600):
        drawn = draw_anchors(given, n=60, orders={"other": given + 1e-3 * column}, seed=seed)
        assert len(np.unique(drawn.rows)) == 60
        assert np.allclose(drawn.weight, 1 / pi[drawn.rows])
        counts[drawn.rows] += 1
    assert np.abs(counts / 600 - pi).max() < 5 * 0.5 / np.sqrt(600)


def test_design_weights_make_estimates_unbiased_where_plain_means_are_not():
    true, given, column = rated_pool(1500, help=0.5)
    weighted, plain = [], []
    for seed in range(200):
        drawn = draw_anchors(given, n=80, orders={"other": given + 1e-3 * column}, seed=seed)
        weighted.append((drawn.weight * true[drawn.rows]).sum() / len(true))
        plain.append(true[drawn.rows].mean())
    assert np.mean(weighted) == pytest.approx(true.mean(), abs=4 * np.std(weighted) / np.sqrt(200))
    assert abs(np.mean(plain) - true.mean()) > 0.3


def test_the_draw_repeats_with_its_seed_and_asks_most_where_orders_part():
    _, given, column = rated_pool()
    other = given + 1e-3 * column
    first, again = (draw_anchors(given, orders={"other": other}, seed=4) for _ in range(2))
    assert np.array_equal(first.rows, again.rows)
    assert (np.diff(first.rows) < 0).any()  # in no order: who stops early leaves a random part
    apart = np.abs(membership(given, 0.1) - membership(other, 0.1)) > 0
    assert apart[first.rows].mean() > 2 * apart.mean()
    assert set(given[first.rows]) == set(range(6))


def test_equal_samples_share_what_is_left_of_the_selection():
    m = membership(np.array([3, 2, 2, 2, 1, 0, 0, 0, 0, 0]), 0.2)
    assert m.tolist() == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3, 0, 0, 0, 0, 0, 0])


def test_evidence_that_helps_is_shown_and_used():
    true, given, column = rated_pool(accuracy=0.4, help=0.8)
    drawn = draw_anchors(given, seed=1)
    told = judge_anchors(given, asked(true, drawn), drawn.weight, evidence={"neighbours": column})
    assert told.evidence[0].shown
    assert told.evidence[0].gain > 0.1
    rows = drawn.rows
    order = try_evidence(given.astype(float), rows, true[rows].astype(float), {"neighbours": column}).expected
    gained = np.corrcoef(order, true)[0, 1] - np.corrcoef(given, true)[0, 1]
    assert gained > 0.05


def test_evidence_that_is_noise_is_refused_nine_times_in_ten():
    used = 0
    for seed in range(60):
        true, given, column = rated_pool(800, seed=seed)
        drawn = draw_anchors(given, seed=seed)
        told = judge_anchors(
            given, asked(true, drawn), drawn.weight, evidence={"a": column, "b": column[::-1]}
        )
        used += any(test.shown for test in told.evidence)
    assert used <= 9


def test_an_order_that_is_better_is_chosen_and_one_that_is_not_is_refused():
    true, given, column = rated_pool(3000, accuracy=0.45, help=0.9)
    orders = {"good": given + 0.5 * column, "bad": given - 1e-3 * column}
    drawn = draw_anchors(given, orders=orders, seed=2)
    told = judge_anchors(given, asked(true, drawn), drawn.weight, orders=orders)
    assert told.chosen == told.likeliest == "good"
    assert [o.shown for o in told.orders] == [False, True, False]
    assert (
        told.orders[1].gain.low
        <= top_mean(orders["good"], true) - top_mean(given, true)
        <= told.orders[1].gain.high
    )
    worse = judge_anchors(given, asked(true, drawn), drawn.weight, orders={"bad": orders["bad"]})
    assert worse.chosen == GIVEN


def test_intervals_of_the_selection_and_of_the_rater_hold_as_often_as_they_say():
    true, given, column = rated_pool(2500, accuracy=0.5, help=0.5)
    order = given + 0.3 * column
    hold = {"given": 0, "other": 0, "gain": 0, "accuracy": 0, "bias": 0}
    for seed in range(200):
        drawn = draw_anchors(given, orders={"other": order}, seed=seed)
        told = judge_anchors(given, asked(true, drawn), drawn.weight, orders={"other": order})
        tops = top_mean(given, true), top_mean(order, true)
        for name, estimate, value in (
            ("given", told.orders[0].top_mean, tops[0]),
            ("other", told.orders[1].top_mean, tops[1]),
            ("gain", told.orders[1].gain, tops[1] - tops[0]),
            ("accuracy", told.rater.accuracy, (given == true).mean()),
            ("bias", told.rater.bias, (given - true).mean()),
        ):
            hold[name] += estimate.low <= value <= estimate.high
    assert all(176 <= count <= 200 for count in hold.values()), hold  # 88 to 100 % of 200 draws


def test_the_matrix_of_the_rater_comes_back_with_intervals_that_hold_it():
    T = ordinal_transition(6, accuracy=0.6)
    true, given, _ = rated_pool(6000)
    drawn = draw_anchors(given, n=1500, seed=0)
    told = judge_anchors(given, asked(true, drawn), drawn.weight)
    found = np.array(told.rater.transition)
    assert np.abs(found - T).max() < 0.08
    low, high = np.array(told.rater.transition_low), np.array(told.rater.transition_high)
    assert ((low <= T) & (high >= T)).mean() > 0.85
    assert np.allclose(found.sum(axis=1), 1)
    assert from_plain(Judgement, json.loads(json.dumps(to_plain(told)))) == told


def test_an_entry_of_the_matrix_lies_in_the_interval_that_is_shown_with_it():
    true, given, _ = rated_pool(600)
    drawn = draw_anchors(given, n=100, seed=0)
    rater = judge_anchors(given, asked(true, drawn), drawn.weight).rater
    entries = [rater.entry(i, j) for i in range(6) for j in range(6)]
    assert all(e.low <= e.value <= e.high for e in entries if e.low is not None)
    assert any(e.low is not None for e in entries)


def test_asking_everyone_leaves_no_doubt():
    true, given, column = rated_pool(60)
    drawn = draw_anchors(given, n=60, orders={"other": column}, seed=0)
    assert np.allclose(drawn.weight, 1)
    mean = weighted_mean(membership(given, 0.1)[drawn.rows], true[drawn.rows].astype(float), drawn.weight)
    assert mean.value == pytest.approx(top_mean(given, true))


def test_left_out_errors_are_those_of_fits_without_the_row():
    rng = np.random.default_rng(0)
    A = np.column_stack([np.ones(25), rng.normal(size=(25, 2))])
    y = rng.normal(size=25)
    direct = [
        y[i] - A[i] @ np.linalg.lstsq(np.delete(A, i, 0), np.delete(y, i), rcond=None)[0] for i in range(25)
    ]
    assert np.allclose(left_out_errors(A, y), direct)


def test_wilson_s_interval_of_none_of_ten_is_the_textbook_s():
    interval = weighted_share(np.zeros(10, dtype=bool), np.ones(10))
    assert interval.low == pytest.approx(0.0, abs=1e-12)
    assert interval.high == pytest.approx(0.2775, abs=1e-3)


def planted(accuracy, purity, seed=0):
    pool = plant_pool(
        2000, transitions=ordinal_transition(6, accuracy=accuracy), purity=purity, cluster_size=15, seed=seed
    )
    return pool, knn_graph(pool.embeddings, 10)


@pytest.mark.parametrize(("accuracy", "purity"), [(0.9, 0.3), (0.6, 0.3)])
def test_posterior_yields_to_anchors_where_neighbours_are_impure(accuracy, purity):
    pool, graph = planted(accuracy, purity)
    rows = draw_anchors(pool.scores, seed=0).rows
    anchors = {int(i): int(pool.true_scores[i]) for i in rows}
    raw = top_mean(pool.scores, pool.true_scores)

    def of(**told) -> float:
        result = ds2.curate(graph=graph, scores=pool.scores, method="posterior", **told)
        return top_mean(result.posterior_mean, pool.true_scores)

    assert of() < raw
    assert of(anchors=anchors) > raw - 0.02
    assert of(rater_accuracy=accuracy) > raw - 0.02


def test_an_anchor_s_own_score_is_what_the_person_said_and_names_the_true_scores():
    T = np.roll(ordinal_transition(6, accuracy=0.7), 1, axis=1)  # right, were scores named otherwise
    pool = plant_pool(2000, transitions=T, purity=0.95, cluster_size=15, seed=0)
    graph = knn_graph(pool.embeddings, 10)
    rows = draw_anchors(pool.scores, n=120, seed=0).rows
    anchors = {int(i): int(pool.true_scores[i]) for i in rows}
    result = ds2.curate(graph=graph, scores=pool.scores, method="posterior", anchors=anchors)
    assert np.array_equal(result.curated[rows], pool.true_scores[rows])
    assert result.confidence[rows].min() > 0.999
    assert np.array_equal(result.transition.argmax(axis=1), T.argmax(axis=1))
    unasked = np.setdiff1d(np.arange(2000), rows)
    assert (result.curated == pool.true_scores)[unasked].mean() > 0.85


def test_anchors_tell_each_of_several_raters_apart_and_may_be_of_unrated_samples():
    T = np.stack([ordinal_transition(6, accuracy=0.8), ordinal_transition(6, accuracy=0.4)])
    pool = plant_pool(1500, transitions=T, purity=0.6, unrated=0.2, cluster_size=15, seed=0)
    rows = np.random.default_rng(0).choice(1500, 100, replace=False)
    anchors = {int(i): int(pool.true_scores[i]) for i in rows}
    result = ds2.curate(pool.embeddings, pool.scores, method="posterior", anchors=anchors)
    assert np.array_equal(result.curated[rows], pool.true_scores[rows])
    right = np.einsum("rii->r", result.transition) / 6
    assert right == pytest.approx([0.8, 0.4], abs=0.1)


def test_a_stated_matrix_is_held_and_em_still_rises():
    pool, graph = planted(0.6, 0.6)
    T = transition_of_accuracy(6, 0.6)
    result = ds2.curate(graph=graph, scores=pool.scores, method="posterior", transition=T)
    assert np.allclose(result.transition, T, atol=1e-3)
    edges = neighbor_edges(graph)
    evidence = gather_evidence(edges, pool.scores[:, None], 6)
    start = start_from(T[None], evidence.num_bins)
    values = [run_em(start, evidence, steps=n, order_weight=0.0, held=True)[1] for n in (1, 3, 9, 27)]
    assert values == sorted(values)


def test_without_anchors_or_a_stated_accuracy_posterior_is_what_it_was():
    pool, graph = planted(0.6, 0.9)
    plain = ds2.curate(graph=graph, scores=pool.scores, method="posterior")
    again = ds2.curate(graph=graph, scores=pool.scores, method="posterior", anchors=None, rater_accuracy=None)
    assert np.array_equal(plain.posterior, again.posterior)


def test_a_matrix_from_few_anchors_leans_on_their_accuracy():
    known, given = np.array([0, 1, 2, 3] * 10), np.array([0, 1, 2, 2] * 10)
    T = transition_from_anchors(known, given, 6)
    assert T[3, 2] > 0.5
    assert T[5].argmax() == 5  # no anchor has that score: the shape alone speaks
    assert np.allclose(T.sum(axis=1), 1)


good = {i: i % 6 for i in range(30)}


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"anchors": {i: i % 6 for i in range(19)}}, "at least 20 scores, got 19"),
        ({"anchors": {i: 3 for i in range(30)}}, "every anchor has the score 3"),
        ({"anchors": {**good, 3: 6}}, "anchor of row 3 is 6, outside 0..5"),
        ({"anchors": {**good, 900: 1}}, "row 900, outside 0..299"),
        ({"anchors": good, "method": "rank"}, "for method='refine' or 'posterior', got 'rank'"),
        ({"anchors": good, "bootstrap": 5}, "bootstrap"),
        ({"anchors": good, "anchor_weight": [1.0, 2.0]}, "weight must be 30 numbers"),
        ({"anchor_weight": [1.0, 2.0]}, "give anchors too"),
        ({"rater_accuracy": 0.1}, "rater_accuracy must be in"),
        ({"rater_accuracy": [0.6, 0.7]}, "2 accuracies for 1 raters"),
        ({"rater_accuracy": 0.6, "transition": np.eye(6)}, "not both"),
        ({"transition": np.eye(5)}, r"transition must be \(6, 6\)"),
        ({"transition": np.full((6, 6), 0.2)}, "rows sum to 1"),
    ],
)
def test_what_people_state_wrongly_is_refused_in_one_line(told, line):
    pool = plant_pool(300, transitions=ordinal_transition(6), seed=0)
    with pytest.raises(UserError, match=line) as caught:
        ds2.curate(pool.embeddings, pool.scores, **{"method": "posterior", **told})
    assert "\n" not in str(caught.value)


def test_anchors_that_are_no_mapping_of_whole_numbers_are_refused():
    pool = plant_pool(300, transitions=ordinal_transition(6), seed=0)
    for wrong in ([1, 2], good | {0.5: 1}, good | {40: 2.5}, good | {40: True}):
        with pytest.raises(TypeError):
            ds2.curate(pool.embeddings, pool.scores, method="posterior", anchors=wrong)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"n": 10}, "n must be at least 20"),
        ({"n": 5000}, "cannot ask about 5000 of 2000"),
        ({"orders": {"short": [1.0, 2.0]}}, "order 'short' must be 2000"),
        ({"orders": {GIVEN: np.zeros(2000)}}, "may not be called"),
    ],
)
def test_a_draw_that_cannot_be_made_is_refused(settings, line):
    with pytest.raises(UserError, match=line):
        draw_anchors(rated_pool()[1], **settings)


def test_stating_nothing_is_nothing():
    assert check_stated(None, None, 6, 1) is None
