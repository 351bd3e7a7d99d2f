"""Filters: near-duplicates, caps and quotas by source, and what is refused."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ds2.base.errors import UserError
from ds2.config import Score
from ds2.config.selection import FilterConfig, SourceQuota
from ds2.method import spread
from ds2.method.knn import knn_graph
from ds2.method.spread import keep_apart
from ds2.selection.filters import SourceLimits

SOURCES = ["a"] * 60 + ["b"] * 30 + ["c"] * 10


@pytest.fixture
def pick(ask, make_pool):
    """100 samples, three sources; the score falls with the row, so that a fills the head of the ranking."""
    curation = {
        "curated": np.repeat([5, 4, 3, 2, 1], 20),
        "long_tail": np.linspace(1, 0, 100),
        "posterior_mean": np.full(100, np.nan),
    }

    def picked(budget, source_quota=None, **filter):
        if source_quota is not None:
            filter["source_quota"] = [SourceQuota(*entry) for entry in source_quota.items()]
        inputs = {"curation": curation, "pool": make_pool(["x"] * 100, SOURCES)}
        return ask("ds2", budget, size=100, inputs=inputs, filter=filter)

    return picked


def composition(choice) -> dict[str, int]:
    return dict(Counter(SOURCES[p] for p in choice.positions))


def test_a_cap_limits_every_source_and_keeps_the_best_of_each(pick):
    choice = pick(20, source_cap=0.45)
    assert composition(choice) == {"a": 9, "b": 9, "c": 2}
    assert choice.positions.tolist() == [*range(9), *range(60, 69), 90, 91]
    assert pick(20).positions.tolist() == list(range(20))


def test_a_quota_fixes_a_source_and_leaves_the_rest_to_the_others(pick):
    assert composition(pick(20, source_quota={"b": 0.25, "c": 3})) == {"a": 12, "b": 5, "c": 3}
    assert composition(pick(20, source_quota={"a": 0})) == {"b": 20}


def test_what_was_passed_over_for_its_source_is_not_next_in_line(pick):
    choice = pick(10, source_quota={"a": 2, "b": 8})
    assert choice.positions.tolist() == [0, 1, *range(60, 68)]
    assert choice.next_in_line.tolist() == list(range(68, 78))


def test_walking_one_by_one_admits_what_the_whole_ranking_admits():
    rng = np.random.default_rng(0)
    for _ in range(20):
        order = rng.permutation(100)
        config = FilterConfig(
            source_cap=float(rng.integers(3, 12)), source_quota=[SourceQuota("b", float(rng.integers(1, 9)))]
        )
        vectorised = SourceLimits(config, SOURCES, 25).admitted(order)
        walking = SourceLimits(config, SOURCES, 25)
        assert vectorised.tolist() == [n for n in order.tolist() if walking.admit(n)]


@pytest.mark.parametrize(
    ("filter", "message"),
    [
        ({"source_cap": 2}, r"source_cap=2 admits only 6 of the 20 samples asked for"),
        ({"source_quota": {"c": 11}}, r"source_quota admits only 19 of the 20"),
        ({"source_quota": {"d": 1}}, r"source_quota\.d: the pool has no such source; there are: a, b, c"),
        ({"source_quota": {"a": 15, "b": 6}}, r"asks for 21 samples, the budget is 20"),
        ({"source_cap": -1}, r"source_cap=-1 must be"),
        ({"source_cap": 1.5}, r"source_cap=1\.5 must be"),
        ({"source_quota": {"a": float("nan")}}, r"source_quota\.a=nan must be"),
        ({"near_duplicates": 1.5}, r"near_duplicates=1\.5 must be a cosine similarity"),
    ],
)
def test_limits_that_cannot_be_met_are_refused(pick, filter, message):
    with pytest.raises(UserError, match=message):
        pick(20, **filter)


def planted_copies() -> np.ndarray:
    """Twenty places far apart, five samples at each within a cosine distance of 0.01."""
    rng = np.random.default_rng(1)
    centres = np.eye(20)
    return np.repeat(centres, 5, axis=0) + rng.normal(0, 0.005, (100, 20))


@pytest.mark.parametrize("k", [2, 16])
def test_near_duplicates_leave_one_of_each_group_its_first_row(ask, k):
    """Also where the graph stores fewer neighbours than a group has members."""
    choice = ask("random", 20, rows=planted_copies(), graph_k=k, filter={"near_duplicates": 0.95})
    assert sorted(choice.positions.tolist()) == list(range(0, 100, 5))


def test_a_budget_over_what_near_duplicates_leave_is_refused(ask):
    with pytest.raises(
        UserError, match=r"21 is more than the 20 of 100 that are left by .*near_duplicates=0\.95"
    ):
        ask("random", 21, rows=planted_copies(), filter={"near_duplicates": 0.95})


@pytest.mark.parametrize("block", [512, 7])
def test_keeping_apart_equals_comparing_every_pair(monkeypatch, block):
    monkeypatch.setattr(spread._Taken, "_BLOCK", block)
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(300, 3)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    order, radius = rng.permutation(300), 0.05
    brute: list[int] = []
    for n in order.tolist():
        if all(1 - rows[n] @ rows[m] > radius for m in brute):
            brute.append(n)
    for k in (4, 32, 299):
        taken = keep_apart(order, knn_graph(rows, k), radius, embeddings=rows)
        assert taken.tolist() == brute
    assert keep_apart(order, knn_graph(rows, 299), radius, limit=7).tolist() == brute[:7]


def test_length_partialled_scores_rank_what_length_does_not_explain(ask, make_pool):
    """Quality and length are planted independently; the score is mostly length."""
    rng = np.random.default_rng(3)
    quality, length = rng.normal(size=400), rng.uniform(3, 7, 400)
    score = np.clip(np.round(0.2 * quality + length - 3), 0, 5)
    frame = {"curated": score, "long_tail": np.zeros(400), "posterior_mean": np.full(400, np.nan)}
    inputs = {"curation": frame, "pool": make_pool(["x" * int(np.exp(size)) for size in length])}
    plain, partialled = (
        ask("ds2", 50, size=400, inputs=inputs, length_partialled=on).positions for on in (False, True)
    )
    assert length[plain].mean() > length.mean() + 0.8
    assert abs(length[partialled].mean() - length.mean()) < 0.3
    assert quality[partialled].mean() > quality[plain].mean() + 0.2


def test_a_missing_input_names_the_stage_that_gives_it(ask):
    with pytest.raises(UserError, match=r"reads curation, which stage curate \(curation=NAME\) gives"):
        ask("ds2", 5, size=10)
    with pytest.raises(UserError, match=r"reads scores, which stage rate \(rater=NAME\) gives"):
        ask("ds2", 5, size=10, score=Score.given)
