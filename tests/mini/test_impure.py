"""The impure world: what is planted in it is found in it."""

import itertools

import numpy as np
import pytest

from ds2.config import World
from ds2.mini import generate_pool
from ds2.mini.impure import AGREEMENT, SCORE_SHARES, cut_into_shares


@pytest.fixture(scope="module")
def rows():
    return generate_pool(samples=4000, seed=5, num_scores=6, world=World.impure)


def column(rows, name):
    return np.array([row[name] for row in rows], dtype=float)


def within_clusters(values, rows):
    """Correlation of two samples of one cluster, over all pairs."""
    z = (values - values.mean()) / values.std()
    groups = {}
    for value, row in zip(z, rows, strict=True):
        groups.setdefault(row["cluster"], []).append(value)
    products = [(sum(g) ** 2 - sum(v * v for v in g)) / (len(g) * (len(g) - 1)) for g in groups.values()]
    return float(np.mean(products))


def errors(rows):
    """Standardised residual of each rater's score beside a line in the true score."""
    true = column(rows, "true_score")
    found = {}
    for rater in AGREEMENT:
        said = np.array([row["scores"][rater] for row in rows], dtype=float)
        left = said - np.polyval(np.polyfit(true, said, 1), true)
        found[rater] = (left - left.mean()) / left.std()
    return found


def test_a_cluster_shares_the_true_score_far_less_than_in_the_pure_world(rows):
    pure = generate_pool(samples=4000, seed=5, num_scores=6)
    assert within_clusters(column(pure, "true_score"), pure) > 0.7
    assert 0.12 < within_clusters(column(rows, "true_score"), rows) < 0.3


def test_raters_agree_with_the_truth_as_real_ones_do_with_people(rows):
    true = column(rows, "true_score")
    found = {r: np.corrcoef(true, [row["scores"][r] for row in rows])[0, 1] for r in AGREEMENT}
    assert found == pytest.approx({"good": 0.70, "fair": 0.53, "poor": 0.45}, abs=0.05)


def test_raters_err_together_and_alike_within_a_cluster(rows):
    found = errors(rows)
    for one, other in itertools.combinations(found, 2):
        assert 0.3 < np.mean(found[one] * found[other]) < 0.6
    for error in found.values():
        assert 0.1 < within_clusters(error, rows) < 0.4


@pytest.mark.parametrize("num_scores", [2, 6, 11])
def test_every_number_of_levels_has_its_scores(num_scores):
    rows = generate_pool(samples=300, seed=1, num_scores=num_scores, world=World.impure)
    for rater in AGREEMENT:
        said = [row["scores"][rater] for row in rows]
        assert set(said) <= set(range(num_scores))
        assert len(set(said)) > 1
    assert rows == generate_pool(samples=300, seed=1, num_scores=num_scores, world=World.impure)


def test_levels_have_their_shares_in_the_order_of_the_values():
    values = list(np.random.default_rng(0).normal(size=1000))
    levels = np.array(cut_into_shares(values, 6))
    assert np.bincount(levels) / 1000 == pytest.approx(np.array(SCORE_SHARES), abs=0.002)
    assert (np.diff(levels[np.argsort(values)]) >= 0).all()


def test_one_sample_is_a_pool():
    (row,) = generate_pool(samples=1, seed=0, num_scores=6, world=World.impure)
    assert set(row["scores"]) == set(AGREEMENT)
