"""Which response tokens are kept."""

from __future__ import annotations

import numpy as np
import pytest

from ds2.method.token_cleaning import keep_best


@pytest.mark.parametrize(("share", "kept"), [(0.5, [1, 3]), (0.01, [3]), (0.75, [0, 1, 3])])
def test_the_share_of_highest_score_is_kept(share, kept):
    scores = np.array([0.1, 0.5, -1.0, 2.0], dtype=np.float32)
    assert np.flatnonzero(keep_best(scores, share)).tolist() == kept


def test_a_token_without_a_score_is_never_kept_and_counts_for_no_share():
    scores = np.array([np.nan, 1.0, 0.0, np.nan], dtype=np.float32)
    assert keep_best(scores, 0.5).tolist() == [False, True, False, False]
    assert keep_best(scores, 1.0).tolist() == [False, True, True, False]


def test_of_equal_scores_the_earlier_one_is_kept():
    assert keep_best(np.zeros(4), 0.5).tolist() == [True, True, False, False]
