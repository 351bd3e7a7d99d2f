from __future__ import annotations

import numpy as np
import pytest

from eval.judge.rates import length_controlled, rates


def table(
    outcomes: list[int], lengths: list[int] | None = None, prompts: list[str] | None = None, **options: int
) -> dict:
    n = len(outcomes)
    return rates(
        outcomes,
        lengths or [0] * n,
        prompts or [str(i) for i in range(n)],
        **{"resamples": 400, "seed": 0, **options},
    )


def test_shares_by_hand() -> None:
    result = table([1, 1, 0, -1])
    assert [result[key]["value"] for key in ("win", "tie", "loss", "win_rate")] == [0.5, 0.25, 0.25, 0.625]
    assert (result["judgements"], result["prompts"]) == (4, 4)


def test_without_a_difference_of_length_the_controlled_rate_is_the_plain_one() -> None:
    result = table([1] * 30 + [0] * 10 + [-1] * 20)
    assert result["length_controlled_win_rate"]["value"] == pytest.approx(
        result["win_rate"]["value"], abs=1e-3
    )


def test_recovers_the_planted_preference_of_a_judge_who_also_likes_length() -> None:
    rng = np.random.default_rng(1)
    extra = rng.normal(300, 300, 6000)  # the first model writes longer answers
    x = np.tanh(extra / extra.std())
    wins = rng.random(6000) < 1 / (1 + np.exp(-(-0.4 + 1.5 * x)))
    outcomes = np.where(wins, 1, -1).tolist()
    result = table(outcomes, extra.round().astype(int).tolist(), resamples=50)
    assert result["length_controlled_win_rate"]["value"] == pytest.approx(1 / (1 + np.exp(0.4)), abs=0.03)
    assert result["win_rate"]["value"] > 0.55


def test_a_model_that_wins_everything_has_a_finite_rate_near_one() -> None:
    assert 0.99 < table([1] * 40, list(range(40)))["length_controlled_win_rate"]["value"] <= 1


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    covered = []
    for seed in range(200):
        result = table(np.where(rng.random(100) < 0.6, 1, -1).tolist(), seed=seed)
        covered.append(result["win"]["low"] <= 0.6 <= result["win"]["high"])
    assert 0.89 <= np.mean(covered) <= 0.99


def test_turns_of_one_prompt_are_resampled_together() -> None:
    outcomes = [1, -1] * 40
    apart = table(outcomes)["win"]
    together = table(outcomes, prompts=[str(i // 2) for i in range(80)])[
        "win"
    ]  # each prompt: one win, one loss
    assert apart["high"] - apart["low"] > 0.15
    assert together["high"] - together["low"] == pytest.approx(0)


def test_the_seed_fixes_the_interval() -> None:
    outcomes = [1, 0, -1] * 15
    assert table(outcomes) == table(outcomes)
    assert table(outcomes) != table(outcomes, seed=1)


def test_weights_count_judgements() -> None:
    y, x = np.array([1.0, 0.0, 0.5]), np.array([0.3, -0.2, 0.1])
    weighted = length_controlled(y, x, np.array([[2.0, 1.0, 3.0]]))
    repeated = length_controlled(np.repeat(y, [2, 1, 3]), np.repeat(x, [2, 1, 3]), np.ones((1, 6)))
    assert weighted == pytest.approx(repeated)
