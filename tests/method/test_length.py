"""What an order owes to length is found where it was planted, and not where it was not."""

from __future__ import annotations

import numpy as np
import pytest

import ds2
from ds2.method.length import length_of_subset, lengths_of, owed_to_length

RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(5, 400, 2000).astype(float)


def test_an_order_by_length_is_all_length():
    owed = owed_to_length(LENGTHS, LENGTHS)
    assert owed.spearman == pytest.approx(1)
    assert owed.left < 0.03


def test_an_order_that_is_not_of_length_owes_it_nothing():
    owed = owed_to_length(RNG.normal(size=2000), LENGTHS)
    assert abs(owed.spearman) < 0.06
    assert owed.left > 0.99


def test_half_an_order_of_length_leaves_half():
    z = (np.log1p(LENGTHS) - np.log1p(LENGTHS).mean()) / np.log1p(LENGTHS).std()
    assert owed_to_length(z + RNG.normal(size=2000), LENGTHS).left == pytest.approx(0.5, abs=0.08)


def test_an_order_that_middles_in_length_lead_is_seen_though_its_rank_correlation_is_small():
    z = np.log1p(LENGTHS) - np.log1p(LENGTHS).mean()
    owed = owed_to_length(-(z**2), LENGTHS)
    assert owed.left < 0.5


def test_what_does_not_vary_owes_nothing_that_could_be_said():
    assert owed_to_length(np.ones(2000), LENGTHS) is None
    assert owed_to_length(LENGTHS, np.ones(2000)) is None
    assert owed_to_length(np.full(2000, np.nan), LENGTHS) is None


def test_a_subset_of_the_longest_does_not_outlive_length():
    longest, other = np.argsort(-LENGTHS)[:200], RNG.normal(size=2000)
    told = length_of_subset(LENGTHS, "words", longest, given=other, order=LENGTHS + 0.1 * other)
    assert told.selection > 0.4
    assert told.kept < 0.3
    assert told.subset > told.pool
    assert [tenth.subset for tenth in told.tenths] == pytest.approx([0] * 9 + [200], abs=2)
    free = length_of_subset(LENGTHS, "words", np.argsort(-other)[:200], given=other, order=other)
    assert free.kept > 0.9


def test_without_spaces_characters_count():
    assert lengths_of(["one two", "three"])[1] == "words"
    lengths, unit = lengths_of(["word" * n for n in (10, 20, 30)])
    assert unit == "characters"
    assert lengths.tolist() == [40, 80, 120]


@pytest.mark.parametrize("method", ["refine", "rank", "posterior", "none"])
def test_every_curation_says_what_it_owes_to_length(method):
    rng = np.random.default_rng(1)
    words = rng.integers(3, 60, 300)
    scores = np.clip(np.round(words / 12 + rng.normal(size=300)), 0, 5).astype(int)
    texts = [" ".join(f"w{rng.integers(40)}" for _ in range(n)) for n in words]
    result = ds2.curate(rng.normal(size=(300, 4)), scores, method=method, texts=texts, num_scores=6)
    length = result.diagnostics.length
    assert length.given.spearman > 0.6
    assert 0 <= length.order.left <= 1
    assert ds2.curate(rng.normal(size=(300, 4)), scores, method="none").diagnostics.length is None
