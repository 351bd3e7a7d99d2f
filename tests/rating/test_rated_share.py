"""What a rated share buys is read between the measured shares, and said with dollars where they are known."""

from __future__ import annotations

import pytest

from ds2.rating.rated_share import AS_GIVEN, QUALITY, in_words, quality_of


def test_quality_grows_with_the_share_and_three_tenths_reach_the_scores_as_given():
    values = [QUALITY[share] for share in sorted(QUALITY)]
    assert values == sorted(values)
    assert QUALITY[0.3] >= AS_GIVEN > QUALITY[0.2]


def test_between_measured_shares_it_is_interpolated_and_below_them_not_claimed():
    assert quality_of(0.4) == pytest.approx((QUALITY[0.3] + QUALITY[0.5]) / 2)
    assert quality_of(0.05) is None


def test_dollars_are_the_shares_of_the_whole_price():
    assert "20% about $8.00" in in_words(40.0)
    assert "$" not in in_words(None)
