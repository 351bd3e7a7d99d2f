"""The paper's selection order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds2.method.ranking import select


def test_sorts_by_score_then_long_tail_then_row():
    scores = [3, 5, 3, 5, 3, 3]
    long_tail = [0.2, 0.1, 0.9, 0.4, 0.2, 0.2]
    assert select(scores, long_tail, 6).tolist() == [3, 1, 2, 0, 4, 5]


def test_takes_whole_levels_before_cutting_one_by_long_tail():
    rng = np.random.default_rng(0)
    scores, long_tail = rng.integers(0, 6, 500), rng.random(500)
    rows = select(scores, long_tail, 200)
    cut = scores[rows].min()
    assert (scores > cut).sum() == (scores[rows] > cut).sum()
    left = np.setdiff1d(np.flatnonzero(scores == cut), rows)
    assert long_tail[rows[scores[rows] == cut]].min() >= long_tail[left].max()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=2, max_size=60), st.data())
def test_a_smaller_budget_is_a_prefix_of_a_larger_one(pairs, data):
    scores, long_tail = zip(*pairs, strict=True)
    small = data.draw(st.integers(1, len(pairs)))
    every = select(scores, long_tail, len(pairs))
    assert sorted(every.tolist()) == list(range(len(pairs)))
    assert select(scores, long_tail, small).tolist() == every[:small].tolist()


def test_soft_scores_rank_too():
    assert select([0.5, 2.25, 2.5], [0, 0, 0], 2).tolist() == [2, 1]


@pytest.mark.parametrize("budget", [0, -1, 4])
def test_a_budget_outside_the_pool_is_refused(budget):
    with pytest.raises(ValueError, match="between 1 and the pool's 3"):
        select([1, 2, 3], [0, 0, 0], budget)


@pytest.mark.parametrize("budget", [2.0, "2", None])
def test_a_budget_that_is_not_an_integer_is_refused(budget):
    with pytest.raises(TypeError):
        select([1, 2, 3], [0, 0, 0], budget)


def test_nan_is_refused_by_row():
    with pytest.raises(ValueError, match="scores is NaN at row 1"):
        select([1.0, np.nan], [0, 0], 1)
    with pytest.raises(ValueError, match="long_tail is NaN at row 0"):
        select([1, 2], [np.nan, 0], 1)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="one length"):
        select([1, 2], [0.0], 1)
