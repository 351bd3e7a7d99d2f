from __future__ import annotations

import numpy as np
import pytest

from ds2.rating.sample import drawn

IDS = [f"sample {i}" for i in range(2000)]


def test_a_share_is_exact_and_at_least_one() -> None:
    assert [drawn(IDS, share, 0).sum() for share in (1.0, 0.1, 0.0005, 1e-9)] == [2000, 200, 1, 1]


def test_the_same_samples_are_drawn_in_whatever_order_they_come() -> None:
    order = np.random.default_rng(0).permutation(len(IDS))
    shuffled = drawn([IDS[i] for i in order], 0.1, 0)
    assert (shuffled == drawn(IDS, 0.1, 0)[order]).all()


def test_a_larger_share_contains_the_smaller() -> None:
    small, large = drawn(IDS, 0.1, 0), drawn(IDS, 0.35, 0)
    assert (large | ~small).all()
    assert large.sum() == 700


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_seed_draws_anew_and_evenly(share: float) -> None:
    draws = np.stack([drawn(IDS, share, seed) for seed in range(200)])
    assert (draws[0] != draws[1]).any()
    spread = np.sqrt(
        share * (1 - share) / 200
    )  # of a sample's frequency, were it drawn independently each time
    assert abs(draws.mean(axis=0) - share).max() < 5 * spread
