"""Strategies that need no model, each on planted data whose right answer is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ds2.base.errors import UserError
from ds2.config import Score
from ds2.config.selection import LengthOf, SourceQuota


def test_length_takes_the_longest_answers_or_conversations_ties_by_row(ask, make_pool):
    pool = make_pool(["xx", "xxxx", "x", "xxxx", "xxx"])
    assert ask("length", 3, inputs={"pool": pool}).positions.tolist() == [1, 3, 4]
    long_question = make_pool(["xx", "x"])
    object.__setattr__(long_question.samples[1].messages[0], "content", "q" * 50)
    whole = ask("length", 1, inputs={"pool": long_question}, of=LengthOf.conversation)
    assert whole.positions.tolist() == [1]
    assert whole.values.tolist() == [51]


def test_knn_takes_planted_outliers_first(ask):
    rng = np.random.default_rng(0)
    crowd = np.array([1.0, 0, 0, 0]) + rng.normal(0, 0.05, (200, 4))
    outliers = np.array([[0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0]])
    rows = np.concatenate([crowd[:100], outliers, crowd[100:]])
    assert sorted(ask("knn", 3, rows=rows).positions.tolist()) == [100, 101, 102]
    with pytest.raises(UserError, match=r"selection\.k=10: the graph stores 4 neighbours"):
        ask("knn", 3, rows=rows, graph_k=4)


SCORES = np.array([5, 1, 4, 4, -1, 4, 2, 5, -1, 3])


def test_alpagasus_takes_the_best_raw_scores_and_shuffles_ties_by_the_seed(ask):
    scores = np.repeat([3, 5, 1], 40)
    first, again, other = (
        ask("alpagasus", 60, inputs={"scores": scores}, seed=s).positions.tolist() for s in (1, 1, 2)
    )
    assert first == again != other
    assert (scores[first] == np.repeat([5, 3], [40, 20])).all()
    assert ask("alpagasus", 10, inputs={"scores": scores}, seed=1).positions.tolist() == first[:10]


def test_alpagasus_with_a_threshold_takes_all_that_reach_it_whatever_the_budget(ask):
    choice = ask("alpagasus", 2, inputs={"scores": SCORES}, threshold=4)
    assert sorted(choice.positions.tolist()) == [0, 2, 3, 5, 7]
    with pytest.raises(UserError, match=r"none of 10 samples .*selection\.threshold=6"):
        ask("alpagasus", 2, inputs={"scores": SCORES}, threshold=6)


def test_alpagasus_on_curated_scores_follows_curation(ask):
    frame = {"score": SCORES, "curated": SCORES[::-1].copy(), "posterior_mean": np.full(10, np.nan)}
    choice = ask("alpagasus", 2, size=10, inputs={"curation": frame}, score=Score.curated)
    assert sorted(choice.positions.tolist()) == [2, 9]


@pytest.mark.parametrize("strategy", ["alpagasus", "deita"])
def test_scores_that_cannot_rank_are_refused(ask, strategy):
    rows = np.eye(8)
    with pytest.raises(
        UserError, match=r"all 8 scored samples have the score 3: selection=\w+ has nothing to rank by"
    ):
        ask(strategy, 2, rows=rows, inputs={"scores": np.full(8, 3)})
    with pytest.raises(UserError, match=r"no sample has the score selection\.score=given"):
        ask(strategy, 2, rows=rows, inputs={"scores": np.full(8, -1)})
    frame = {"curated": np.arange(8), "posterior_mean": np.full(8, np.nan)}
    with pytest.raises(UserError, match=r"selection\.score=posterior_mean \(curation=posterior gives it\)"):
        ask(strategy, 2, size=8, rows=rows, inputs={"curation": frame}, score=Score.posterior_mean)
    with pytest.raises(UserError, match="6 is more than the 5 of 8 that have a score"):
        ask(strategy, 6, rows=rows, inputs={"scores": np.array([1, 2, 3, 4, 5, -1, -1, -1])})


def groups(count: int, size: int, seed: int = 0) -> np.ndarray:
    """`size` near-copies at each of `count` places far apart."""
    rng = np.random.default_rng(seed)
    return np.repeat(np.eye(count), size, axis=0) + rng.normal(0, 0.01, (count * size, count))


@pytest.mark.parametrize("k", [2, 8])
def test_deita_takes_the_best_of_each_group_of_near_copies(ask, k):
    """Also where the graph is narrower than a group, so that it cannot tell by itself."""
    rng = np.random.default_rng(1)
    scores = rng.permutation(30)
    best = scores.reshape(6, 5).argmax(axis=1) + 5 * np.arange(6)
    choice = ask("deita", 6, rows=groups(6, 5), graph_k=k, inputs={"scores": scores})
    assert choice.positions.tolist() == best[np.argsort(-scores[best])].tolist()
    with pytest.raises(UserError, match=r"budget\.samples=7: selection\.similarity=0\.9 leave 6 samples"):
        ask("deita", 7, rows=groups(6, 5), graph_k=k, inputs={"scores": scores})


def test_deita_multiplies_quality_by_a_complexity_that_is_given(ask, make_pool):
    columns = [{"c": {"x": value}} for value in (1, 9, 2, None)]
    inputs = {"scores": np.array([5, 0, 3, 5]), "pool": make_pool(["a"] * 4, columns=columns)}
    choice = ask("deita", 3, size=4, rows=np.eye(4), inputs=inputs, complexity="c.x")
    assert choice.positions.tolist() == [1, 2, 0]
    assert choice.values.tolist() == [9, 8, 6]
    with pytest.raises(UserError, match=r"no row of the pool has the column d"):
        ask("deita", 3, size=4, rows=np.eye(4), inputs=inputs, complexity="d")


def test_deita_obeys_quotas_while_it_walks(ask, make_pool):
    inputs = {"scores": np.arange(8), "pool": make_pool(["a"] * 8, sources=["x"] * 4 + ["y"] * 4)}
    quota = {"source_quota": [SourceQuota("x", 3)]}
    choice = ask("deita", 5, size=8, rows=np.eye(8), inputs=inputs, filter=quota)
    assert choice.positions.tolist() == [7, 6, 3, 2, 1]
    assert choice.next_in_line.tolist() == [5, 4, 0]


def coverage(chosen, rows: np.ndarray, k: int) -> float:
    """Facility location from its definition, over k nearest neighbours."""
    similarity = rows @ rows.T
    np.fill_diagonal(similarity, np.inf)
    kept = np.argsort(-similarity, axis=1)[:, : k + 1]
    weight = np.zeros_like(similarity)
    np.put_along_axis(weight, kept, np.take_along_axis(similarity, kept, axis=1), axis=1)
    np.fill_diagonal(weight, 1)
    return float(weight[:, list(chosen)].max(axis=1).clip(min=0).sum())


def test_facility_location_covers_planted_groups_largest_first(ask):
    """With k = 16 neighbours one sample stands for at most a whole group of that size."""
    sizes = [17, 3, 11, 6]
    rng = np.random.default_rng(2)
    rows = np.repeat(np.eye(4), sizes, axis=0) + rng.normal(0, 0.01, (37, 4))
    group = np.repeat(np.arange(4), sizes)
    choice = ask("facility_location", 4, rows=rows)
    assert group[choice.positions].tolist() == [0, 2, 3, 1]


def test_facility_location_is_the_greedy_of_its_definition_and_reaches_its_bound(ask):
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(24, 3))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    plain: list[int] = []
    for _ in range(10):
        plain.append(
            max((m for m in range(24) if m not in plain), key=lambda m: coverage([*plain, m], rows, 6))
        )
    choice = ask("facility_location", 10, rows=rows, graph_k=6, k=6)
    assert choice.positions.tolist() == plain
    for count in (4, 10):
        assert choice.values[:count].sum() == pytest.approx(coverage(plain[:count], rows, 6), abs=1e-4)
    best = max(coverage(some, rows, 6) for some in itertools.combinations(range(24), 3))
    assert coverage(plain[:3], rows, 6) >= (1 - 1 / np.e) * best


def test_facility_location_obeys_caps_and_may_take_everything(ask, make_pool):
    rows = np.eye(8)
    pool = make_pool(["a"] * 8, sources=["x"] * 6 + ["y"] * 2)
    capped = ask(
        "facility_location", 4, rows=rows, inputs={"pool": pool}, filter={"source_cap": 2}, graph_k=5, k=5
    )
    assert capped.positions.tolist() == [0, 1, 6, 7]
    assert capped.next_in_line.tolist() == []
    everything = ask("facility_location", 8, rows=rows, graph_k=5, k=5)
    assert sorted(everything.positions.tolist()) == list(range(8))


@pytest.mark.parametrize("strategy", ["knn", "deita", "facility_location", "alpagasus", "ds2"])
def test_the_order_of_equal_inputs_is_the_same_every_time(ask, strategy):
    """Copies of one row, one score: only the stated tie rule decides."""
    frame = {"curated": np.tile([4, 3], 20), "long_tail": np.zeros(40), "posterior_mean": np.zeros(40)}
    inputs = {"scores": np.tile([4, 3], 20), "curation": frame}
    rows = np.repeat(np.eye(20), 2, axis=0)
    first, again = (ask(strategy, 10, size=40, rows=rows, inputs=inputs).positions.tolist() for _ in range(2))
    assert first == again
    if strategy in ("knn", "ds2"):
        even = list(range(0, 20, 2))
        assert first == (even if strategy == "ds2" else list(range(10)))
