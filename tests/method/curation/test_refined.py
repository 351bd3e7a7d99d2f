"""A panel's scores are fused, ordered by the panel's student, and accounted for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

import ds2
from ds2.method.curation.planted import ordinal_transition, plant_pool


@pytest.fixture(scope="module")
def panel():
    """Three raters of a planted pool, one of them noise."""
    rater = ordinal_transition(6, accuracy=0.5)
    pool = plant_pool(1200, transitions=[rater, rater, rater], purity=0.9, cluster_size=15, seed=0)
    scores = pool.scores.copy()
    scores[:, 2] = np.random.default_rng(1).permutation(scores[:, 2])
    return pool, scores, ds2.curate(pool.embeddings, scores, method="refine")


def test_the_order_is_nearer_to_the_truth_than_the_mean_of_the_raters(panel):
    pool, scores, result = panel
    assert (
        spearmanr(result.refined, pool.true_scores).statistic
        > spearmanr(scores.mean(axis=1), pool.true_scores).statistic + 0.05
    )
    best = ds2.select(result, 120)
    plain = np.argsort(-scores.mean(axis=1), kind="stable")[:120]
    assert pool.true_scores[best].mean() > pool.true_scores[plain].mean()


def test_the_verdict_says_what_the_panel_is_worth_and_cannot_tell(panel):
    _, _, result = panel
    verdict = result.diagnostics.verdict
    assert verdict.startswith("The scores of 3 raters were fused by what they share")
    assert "independent raters" in verdict
    assert "Agreement between raters is not correctness" in verdict
    assert result.diagnostics.evidence.noise_source == "the panel's own error"


def test_missing_scores_of_some_raters_are_no_obstacle(panel):
    pool, scores, _ = panel
    holes = scores.copy()
    holes[::3, 0] = -1
    holes[5] = -1
    result = ds2.curate(pool.embeddings, holes, method="refine")
    assert np.isfinite(result.refined).all()
    assert 0 <= result.curated[5] <= 5


def test_a_constant_rater_is_refused_by_name(panel):
    pool, scores, _ = panel
    flat = scores.copy()
    flat[:, 1] = 3
    with pytest.raises(ValueError, match="rater 1"):
        ds2.curate(pool.embeddings, flat, method="refine")
