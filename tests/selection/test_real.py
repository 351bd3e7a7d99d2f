"""On the authors' released scores (300,932 samples, three raters), where they are at hand."""

from __future__ import annotations

import time

import numpy as np
import pytest


@pytest.mark.parametrize("rater", ["gpt_4o_mini", "llama_3_1_8b", "mistral_7b"])
def test_alpagasus_and_random_choose_from_all_released_scores_in_seconds(ask, shared_data, rater):
    with np.load(shared_data / "scores" / "released_scores.npz", allow_pickle=False) as arrays:
        scores = arrays[rater].astype(np.int16)
    started = time.perf_counter()
    best = ask("alpagasus", 10_000, inputs={"scores": scores}).positions
    drawn = ask("random", 10_000, size=len(scores)).positions
    assert time.perf_counter() - started < 5
    fives = int((scores == 5).sum())
    assert np.bincount(scores[best], minlength=6).tolist() == [0, 0, 0, 0, 10_000 - fives, fives]
    share = np.bincount(scores[drawn], minlength=6) / 10_000
    np.testing.assert_allclose(share, np.bincount(scores, minlength=6) / len(scores), atol=0.02)
