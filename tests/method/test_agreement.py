from __future__ import annotations

import numpy as np
import pytest

from ds2.method.agreement import between_repeats, lower_median, quadratic_kappa


def test_equal_repeats_agree_perfectly() -> None:
    scores = np.repeat(np.arange(6, dtype=np.int16)[:, None], 3, axis=1)
    measured = between_repeats(scores, 6)
    assert measured is not None
    assert (measured.pairs, measured.exact, measured.kappa) == (18, 1.0, 1.0)


def test_repeats_drawn_at_random_agree_by_chance_only() -> None:
    scores = np.random.default_rng(0).integers(0, 6, (20_000, 2)).astype(np.int16)
    measured = between_repeats(scores, 6)
    assert measured is not None
    assert measured.exact == pytest.approx(1 / 6, abs=0.01)
    assert measured.kappa == pytest.approx(0, abs=0.02)


def test_two_repeats_by_hand_and_in_either_order() -> None:
    scores = np.array([[0, 0], [1, 2], [2, 2], [-1, 2], [1, -1]], dtype=np.int16)
    measured, swapped = between_repeats(scores, 3), between_repeats(scores[:, ::-1], 3)
    assert measured is not None
    assert (measured.pairs, measured.exact) == (3, pytest.approx(2 / 3))
    both = np.concatenate([scores[:3], scores[:3, ::-1]]).astype(np.int64)
    assert measured.kappa == pytest.approx(quadratic_kappa(both[:, 0], both[:, 1], 3))
    assert swapped == measured


def test_the_planted_noise_of_a_rater_is_found() -> None:
    """A rater that repeats its score with probability 0.8 agrees with itself on 0.64 + chance of the rest."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 6, 30_000)
    noisy = [np.where(rng.random(30_000) < 0.8, truth, rng.integers(0, 6, 30_000)) for _ in range(2)]
    measured = between_repeats(np.stack(noisy, axis=1).astype(np.int16), 6)
    assert measured is not None
    assert measured.exact == pytest.approx(0.64 + 0.36 / 6, abs=0.01)
    assert measured.kappa == pytest.approx(0.64, abs=0.01)


def test_nothing_is_said_where_no_sample_was_rated_twice() -> None:
    assert between_repeats(np.array([[1, -1], [-1, 2]], dtype=np.int16), 6) is None


@pytest.mark.parametrize("kind", [np.int16, np.int64])
def test_the_median_of_several_raters_is_a_score_that_one_of_them_gave(kind: type[np.signedinteger]) -> None:
    scores = np.array([[0, 5, 2], [1, 4, -1], [-1, -1, 3], [-1, -1, -1]], dtype=kind)
    median = lower_median(scores)
    assert median.tolist() == [2, 1, 3, -1]
    assert median.dtype == kind
