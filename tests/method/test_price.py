"""What diversity costs is what the subsets at each weight hold."""

from __future__ import annotations

import numpy as np
import pytest

from ds2.method.covering import cover, leaders, least_leaders
from ds2.method.price import BoughtBy, Pricing, blend


def ring(n: int, k: int) -> np.ndarray:
    """Sample i's neighbours are the next k on a ring."""
    return ((np.arange(n)[:, None] + 1 + np.arange(k)) % n).astype(np.int32)


def test_weight_zero_takes_the_best_and_weight_one_the_rarest():
    quality, variety = np.arange(100.0), np.arange(100.0)[::-1].copy()
    prices = Pricing(quality, variety, ["a"] * 50 + ["b"] * 50, 10).by_long_tail((0.0, 1.0))
    assert [p.quality for p in prices] == [94.5, 4.5]
    assert [p.variety for p in prices] == [4.5, 94.5]
    assert [p.shared for p in prices] == [1.0, 0.0]
    assert [p.kinds for p in prices] == [1, 1]
    assert [p.cover for p in prices] == [None, None]


def test_more_weight_never_gains_quality_nor_loses_variety():
    rng = np.random.default_rng(0)
    quality, variety = rng.normal(size=500), rng.exponential(size=500)
    prices = Pricing(quality, variety, [f"s{i % 7}" for i in range(500)], 50).by_long_tail()
    ranks = [np.argsort(np.argsort(x)) for x in (quality, variety)]
    taken = [np.argsort(-blend(quality, variety, p.weight), kind="stable")[:50] for p in prices]
    mean_ranks = np.array([[rank[rows].mean() for rank in ranks] for rows in taken])
    assert (np.diff(mean_ranks[:, 0]) <= 1e-9).all()
    assert (np.diff(mean_ranks[:, 1]) >= -1e-9).all()


def test_more_cover_never_gains_quality():
    rng = np.random.default_rng(1)
    quality, near = rng.normal(size=400), rng.permuted(np.tile(np.arange(400), (400, 1)), axis=1)[:, :10]
    prices = Pricing(quality, rng.random(400), ["a"] * 400, 60, near.astype(np.int32)).by_cover()
    assert {p.by for p in prices} == {BoughtBy.cover}
    assert (np.diff([p.quality for p in prices]) <= 1e-9).all()
    assert prices[-1].cover > prices[0].cover


def test_what_cannot_be_chosen_is_neither_priced_nor_a_leader():
    quality = np.array([np.nan, 3.0, 2.0, 1.0, np.nan, 0.0])
    prices = Pricing(quality, np.zeros(6), list("abcdef"), 2, ring(6, 2)).by_cover((0.0, 1.0))
    assert all(np.isfinite(p.quality) for p in prices)
    assert prices[0].quality == 2.5


def test_a_subset_covers_itself_and_those_that_have_it_as_a_neighbour():
    assert cover(ring(10, 2), np.array([5])) == pytest.approx(0.3)  # 5, and 3 and 4 that point to it


def test_leaders_are_the_best_of_their_neighbourhoods_and_cover_everything():
    rng = np.random.default_rng(2)
    near = rng.permuted(np.tile(np.arange(300), (300, 1)), axis=1)[:, :10].astype(np.int32)
    order = rng.permutation(300)
    first = leaders(near, order)
    assert first[0] == order[0]
    assert cover(near, first) == 1
    assert len(first) < 150


def test_no_fewer_leaders_reach_the_cover():
    near, order = ring(100, 2), np.arange(99, -1, -1)
    rows, reached = least_leaders(near, order, leaders(near, order), 0.5, lambda o: o[:25])
    assert reached >= 0.5
    assert len(rows) == 25
    most = least_leaders(near, order, leaders(near, order), 0.99, lambda o: o[:25])[1]
    assert most < 0.99


def test_a_weight_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="weight must be in"):
        blend(np.arange(3.0), np.arange(3.0), 1.5)
