"""Strategies: what each needs, what each chooses, which budgets are refused."""

from __future__ import annotations

import pkgutil

import numpy as np
import pandas as pd
import pytest

from ds2.base.errors import UserError
from ds2.config import Score
from ds2.config.compose import compose
from ds2.config.stages import check
from ds2.config.strategies import STRATEGIES
from ds2.selection import resolve_budget, strategies


def table(curated, long_tail, posterior_mean=None) -> pd.DataFrame:
    mean = np.full(len(curated), np.nan) if posterior_mean is None else posterior_mean
    return pd.DataFrame({"curated": curated, "long_tail": long_tail, "posterior_mean": mean})


@pytest.fixture
def choose(ask):
    def chosen(frame, budget, *, strategy="ds2", size=None, **options):
        return ask(strategy, budget, size=size or len(frame), inputs={"curation": frame}, **options)

    return chosen


def test_ds2_takes_whole_levels_and_cuts_the_last_by_rarity(choose):
    choice = choose(table([5, 4, 5, 4, 4, 0], [0.1, 0.2, 0.3, 0.9, 0.5, 1.0]), 4)
    assert choice.positions.tolist() == [2, 0, 3, 4]
    assert choice.reasons == ["curated 5", "curated 5", "curated 4, rarest first", "curated 4, rarest first"]


def test_without_diversity_ties_are_drawn_by_the_seed(choose):
    frame = table([3] * 50, np.linspace(0, 1, 50))
    first, again, other = (choose(frame, 10, diversity=False, seed=s).positions.tolist() for s in (1, 1, 2))
    assert first == again != other
    assert first != choose(frame, 10).positions.tolist()


def test_the_posterior_mean_ranks_within_a_level(choose):
    frame = table([4, 4, 4], [0.9, 0.1, 0.5], [3.6, 4.2, 3.9])
    assert choose(frame, 3, score=Score.posterior_mean).positions.tolist() == [1, 2, 0]


def test_samples_without_a_score_are_never_chosen(choose):
    frame = table([-1, 2, -1, 1], [1, 0, 1, 0])
    assert choose(frame, 2).positions.tolist() == [1, 3]
    with pytest.raises(UserError, match="more than the 2 of 4 that have a score"):
        choose(frame, 3)


def test_all_equal_scores_fall_back_to_rarity(choose):
    assert choose(table([2, 2, 2], [0.1, 0.3, 0.2]), 2).positions.tolist() == [1, 2]


def test_random_is_seeded_nested_and_without_replacement(choose):
    one, two = (choose(None, 30, strategy="random", size=100, seed=s).positions.tolist() for s in (1, 2))
    assert one != two
    assert len(set(one)) == 30
    assert choose(None, 10, strategy="random", size=100, seed=1).positions.tolist() == one[:10]


def test_full_takes_the_pool_whatever_the_budget(choose):
    assert choose(None, 3, strategy="full", size=7).positions.tolist() == list(range(7))


@pytest.mark.parametrize(("budget", "count"), [(10, 10), (1.0, 1), (0.033, 3), (0.001, 1), (0.5, 50)])
def test_a_budget_is_a_number_or_a_share(budget, count):
    assert resolve_budget(budget, 100, pool_size=100) == count


@pytest.mark.parametrize("budget", [0, -1, -0.1, 1.5, float("nan"), float("inf"), 101])
def test_an_impossible_budget_is_refused(budget):
    with pytest.raises(UserError, match=r"budget\.samples="):
        resolve_budget(budget, 100, pool_size=100)


def test_an_unknown_strategy_is_named():
    with pytest.raises(UserError, match="best is unknown; there are: .*ds2.*full.*random"):
        compose_and_check("selection.strategy=best")


def test_another_strategy_s_configuration_is_refused():
    with pytest.raises(UserError, match="selection.strategy=knn takes the fields of KnnSelectionConfig"):
        compose_and_check("selection=ds2", "selection.strategy=knn")


def compose_and_check(*overrides: str) -> None:
    check(compose(overrides))


def test_every_strategy_but_the_one_that_selects_nothing_is_a_module():
    modules = {module.name for module in pkgutil.iter_modules(strategies.__path__)}
    assert modules - {"lora_gradients"} == STRATEGIES.keys() - {"base"}
