"""The panel's factor model: planted raters come back, useless ones cost nothing, what cannot be fused is
refused.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import spearmanr

from ds2.base.errors import UserError
from ds2.method import panel as module
from ds2.method.factor import fit_factor, unique_rows
from ds2.method.panel import fit_panel
from ds2.method.panel_worth import best_order, independent_raters, panel_information

LOADINGS = np.array([0.9, 0.8, 0.7, 0.5])


def plant(N=4000, loadings=LOADINGS, *, shared=0.0, shift=0.0, K=6, seed=0):
    """Quality (N,) and scores (N, R) of raters with these loadings; the first two share `shared` of their
    error.
    """
    rng = np.random.default_rng(seed)
    loadings = np.asarray(loadings, dtype=float)
    truth = rng.normal(size=N)
    error = rng.normal(size=(N, len(loadings)))
    error[:, 1] = shared * error[:, 0] + np.sqrt(1 - shared**2) * error[:, 1]
    seen = loadings * truth[:, None] + np.sqrt(1 - loadings**2) * error + shift
    return truth, np.clip(np.round(1.2 * seen + (K - 1) / 2), 0, K - 1).astype(np.int64)


def follows(a, b) -> float:
    return float(spearmanr(a, b, nan_policy="omit").statistic)


def test_recovers_planted_loadings_and_its_own_reliability():
    truth, scores = plant()
    panel = fit_panel(scores)
    assert np.abs(panel.model.loadings - LOADINGS).max() < 0.03
    assert np.corrcoef(panel.score, truth)[0, 1] ** 2 == pytest.approx(panel.account.reliability, abs=0.02)
    raters = panel.account.raters
    assert sum(r.loading_low <= lam <= r.loading_high for r, lam in zip(raters, LOADINGS, strict=True)) >= 3
    assert follows(panel.score, truth) > follows(scores.mean(axis=1), truth) + 0.01
    assert panel.account.noise == pytest.approx(np.std(panel.score - truth), abs=0.03)


def test_recovers_thresholds_and_severity():
    shift = np.array([0.0, -0.5, 0.0, 0.5])
    _, scores = plant(8000, shift=shift)
    panel = fit_panel(scores)
    cuts = (np.arange(5) + 0.5 - 2.5) / 1.2
    for rater, by in zip(panel.account.raters, shift, strict=True):
        assert np.abs(np.array(rater.thresholds) - (cuts - by)).max() < 0.12
        assert rater.severity == pytest.approx(-1.2 * by, abs=0.1)


def test_scores_lost_to_a_rule_on_seen_scores_leave_loadings_and_order_right():
    truth, scores = plant(6000)
    scores[scores[:, 0] < 3, 1] = -1  # the second rater is asked only where the first was pleased
    panel = fit_panel(scores)
    assert np.abs(panel.model.loadings - LOADINGS).max() < 0.06
    naive = np.nanmean(np.where(scores < 0, np.nan, scores), axis=1)
    assert follows(panel.score, truth) > follows(naive, truth)


def test_a_useless_rater_gets_no_weight_and_costs_nothing():
    truth, scores = plant()
    noise = np.random.default_rng(1).integers(0, 6, (len(scores), 1))
    panel = fit_panel(np.concatenate([scores, noise], axis=1), names=["a", "b", "c", "d", "noise"])
    useless = panel.account.raters[-1]
    assert useless.weight < 0.02
    assert abs(useless.loss_without) < 0.002
    assert "noise" in panel.account.spare
    assert follows(panel.score, truth) > follows(fit_panel(scores).score, truth) - 0.003


def test_a_rater_that_scores_backwards_counts_for_nothing_and_is_named():
    _, scores = plant()
    scores[:, 3] = 5 - scores[:, 3]
    panel = fit_panel(scores, names=["a", "b", "c", "backwards"])
    assert panel.account.raters[3].weight == 0
    assert any("backwards scores against the others" in line for line in panel.warnings)


def test_independent_errors_show_no_residual_correlation_and_every_rater_counts():
    panel = fit_panel(plant(6000, [0.7] * 6)[1])
    assert panel.account.independent_raters == pytest.approx(6, abs=0.4)
    assert np.abs(panel.residuals[~np.eye(6, dtype=bool)]).max() < 0.08
    assert not panel.warnings


def test_twins_make_the_panel_worth_fewer_raters_and_are_named():
    panel = fit_panel(plant(6000, [0.7] * 6, shared=0.8)[1], names=[*"abcdef"])
    assert panel.account.independent_raters < 3
    assert ["a and b agree more" in line for line in panel.warnings] == [True]


def test_equal_raters_with_equally_correlated_errors_are_worth_the_design_effect():
    R, rho = 5, 0.5
    residuals = np.full((R, R), rho) + (1 - rho) * np.eye(R)
    assert independent_raters(np.full(R, 0.8), residuals) == pytest.approx(R / (1 + (R - 1) * rho))
    assert independent_raters(np.array([0.8] * R + [0.0]), np.eye(R + 1)) == pytest.approx(R)
    assert panel_information(np.full(R, 0.8), np.eye(R), np.ones(R, dtype=bool)) == pytest.approx(4.0)


def test_the_next_rater_is_the_one_that_adds_most_for_its_price():
    information, alone = np.array([2.0, 1.0, 1.0]), np.eye(3)
    assert [r for r, _ in best_order(information, alone)] == [0, 1, 2]
    assert [r for r, _ in best_order(information, alone, np.array([100.0, 5.0, 1.0]))] == [2, 1, 0]
    prices = {"a": 4.0, "b": 1.0, "c": 1.0, "d": 1.0}
    panel = fit_panel(plant()[1], names=["a", "b", "c", "d"], prices=prices)
    assert panel.account.order[-1].cost == pytest.approx(7.0)
    assert panel.account.order[-1].reliability == pytest.approx(panel.account.reliability)
    assert (panel.account.spare, panel.account.saved) == ([], None)
    assert json.loads(json.dumps(asdict(panel.account)))["order"][0]["gain"] > 0


def test_two_raters_count_alike_and_it_is_said():
    _, scores = plant(loadings=[0.9, 0.5])
    panel = fit_panel(scores)
    assert panel.account.raters[0].loading == pytest.approx(panel.account.raters[1].loading, abs=0.02)
    assert "count alike" in panel.warnings[0]


def test_em_never_lowers_its_objective(monkeypatch):
    _, scores = plant(600)
    first, _, count = unique_rows(scores, 6)
    values = []
    for steps in (2, 4, 8, 16):
        monkeypatch.setattr("ds2.method.factor.STEPS", steps)
        values.append(fit_factor(scores[first], count.astype(float), np.full(4, 0.5)).objective)
    assert values == sorted(values)


def test_a_row_nobody_rated_has_no_score_and_the_order_of_rows_does_not_matter():
    _, scores = plant(800)
    scores[5] = -1
    panel = fit_panel(scores)
    assert np.isnan(panel.score[5])
    assert np.isfinite(np.delete(panel.score, 5)).all()
    turned = fit_panel(scores[::-1])
    assert np.array_equal(panel.score, turned.score[::-1], equal_nan=True)


def test_levels_that_a_rater_never_uses_are_no_hindrance():
    truth, scores = plant()
    scores[:, 2] = np.where(scores[:, 2] > 2, 5, 1)
    panel = fit_panel(scores)
    assert panel.account.raters[2].levels == [1, 5]
    assert len(panel.account.raters[2].thresholds) == 1
    assert follows(panel.score, truth) > 0.88


def test_many_raters_have_distinct_rows_found_beyond_what_one_integer_holds():
    codes = np.random.default_rng(0).integers(-1, 11, (300, 30))
    codes[200:] = codes[:100]
    first, which, count = unique_rows(codes, 11)
    assert len(first) == 200
    assert np.array_equal(codes[first][which], codes)
    assert count.sum() == 300


def test_a_large_pool_is_fitted_on_drawn_rows_in_little_time_and_repeats_with_its_seed(monkeypatch):
    monkeypatch.setattr(module, "FIT_ROWS", 2000)
    truth, scores = plant(60_000, np.linspace(0.4, 0.9, 8))
    start = time.perf_counter()
    panel = fit_panel(scores, seed=3)
    assert time.perf_counter() - start < 10
    assert np.abs(panel.model.loadings - np.linspace(0.4, 0.9, 8)).max() < 0.08
    assert np.array_equal(panel.score, fit_panel(scores, seed=3).score)
    assert np.corrcoef(panel.score, truth)[0, 1] ** 2 > 0.85


def broken(case: str) -> dict:
    _, scores = plant(200)
    given: dict = {"scores": scores, "names": ["a", "b", "c", "d"]}
    if case == "apart":
        scores[:100, 2:] = -1
        scores[100:, :2] = -1
    elif case == "nearly apart":
        scores[:97, 3] = -1
        scores[100:, :3] = -1
    elif case == "scales":
        given["num_scores"] = [6, 6, 5, 6]
    elif case == "beyond":
        given["num_scores"] = 5
        scores[7, 1] = 5
    elif case == "one":
        given = {"scores": scores[:, :1]}
    elif case == "vector":
        given = {"scores": scores[:, 0]}
    elif case == "constant":
        scores[:, 1] = 3
    elif case == "silent":
        scores[:, 1] = -1
    elif case == "prices":
        given["prices"] = {"a": 1.0, "e": 2.0}
    elif case == "names":
        given["names"] = ["a"]
    return given


@pytest.mark.parametrize(
    ("case", "line"),
    [
        ("apart", "c shares no rows with a, b"),
        ("nearly apart", "d shares only 3 rows with a, b, c"),
        ("scales", "must share one scale: a scores 0..5, c 0..4"),
        ("beyond", "outside 0..4"),
        ("one", "at least 2 raters"),
        ("vector", "at least 2 raters"),
        ("constant", "b gives every sample the score 3"),
        ("silent", "b rated nothing"),
        ("prices", "prices: there is no rater e in the panel; there are: a, b, c, d"),
        ("names", "1 names for 4 columns of scores"),
    ],
)
def test_a_panel_that_cannot_be_fused_is_refused_in_one_line(case, line):
    with pytest.raises(UserError, match=line) as caught:
        fit_panel(**broken(case))
    assert "\n" not in str(caught.value)
