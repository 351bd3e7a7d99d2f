"""What diversity costs is what the subsets at each weight hold."""

from __future__ import annotations

import numpy as np
import pytest

from ds2.method.price import blend, price_of_diversity


def test_weight_zero_takes_the_best_and_weight_one_the_rarest():
    quality, variety = np.arange(100.0), np.arange(100.0)[::-1].copy()
    prices = price_of_diversity(quality, variety, ["a"] * 50 + ["b"] * 50, 10, weights=(0.0, 1.0))
    assert [p.quality for p in prices] == [94.5, 4.5]
    assert [p.variety for p in prices] == [4.5, 94.5]
    assert [p.shared for p in prices] == [1.0, 0.0]
    assert [p.kinds for p in prices] == [1, 1]


def test_more_weight_never_gains_quality_nor_loses_variety():
    rng = np.random.default_rng(0)
    quality, variety = rng.normal(size=500), rng.exponential(size=500)
    prices = price_of_diversity(quality, variety, [f"s{i % 7}" for i in range(500)], 50)
    ranks = [np.argsort(np.argsort(x)) for x in (quality, variety)]
    taken = [np.argsort(-blend(quality, variety, p.weight), kind="stable")[:50] for p in prices]
    mean_ranks = np.array([[rank[rows].mean() for rank in ranks] for rows in taken])
    assert (np.diff(mean_ranks[:, 0]) <= 1e-9).all()
    assert (np.diff(mean_ranks[:, 1]) >= -1e-9).all()


def test_a_weight_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="weight must be in"):
        blend(np.arange(3.0), np.arange(3.0), 1.5)
