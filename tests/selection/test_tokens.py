"""A budget of tokens is filled and never exceeded, by what the strategy would choose of so many samples."""

from __future__ import annotations

import numpy as np
import pytest

from ds2.base.errors import UserError
from ds2.config import BudgetConfig
from ds2.config.selection import RandomSelectionConfig
from ds2.config.stages import amount
from ds2.selection import choose
from ds2.selection.request import Request
from ds2.selection.tokens import fill

COUNTS = np.random.default_rng(1).integers(1, 40, size=200)


def request(budget: float = 1.0) -> Request[RandomSelectionConfig]:
    return Request(RandomSelectionConfig(name="random", strategy="random"), 200, budget, 3)


@pytest.mark.parametrize("most", [45, 500, 2_000])
def test_the_largest_number_of_samples_that_fits(most: int) -> None:
    choice, used = fill(request(), COUNTS, most)
    size = len(choice.positions)
    assert used == COUNTS[choice.positions].sum() <= most
    one_more = choose(request(size + 1.0))
    assert COUNTS[one_more.positions].sum() > most
    assert choice.positions.tolist() == choose(request(float(size))).positions.tolist()


def test_a_budget_beyond_the_pool_takes_the_pool() -> None:
    choice, used = fill(request(), COUNTS, 10**9)
    assert len(choice.positions) == 200
    assert used == COUNTS.sum()


def test_a_budget_below_the_first_sample_is_refused() -> None:
    with pytest.raises(UserError, match=r"budget\.tokens=0: the first sample"):
        fill(request(), COUNTS, 0)


@pytest.mark.parametrize(("text", "count"), [("2M", 2_000_000), ("1.5k", 1_500), ("20000", 20_000)])
def test_tokens_are_read_as_people_write_them(text: str, count: int) -> None:
    assert BudgetConfig(tokens=text).most_tokens == count


@pytest.mark.parametrize("text", ["", "M", "many", "-5", "0.2"])
def test_what_is_no_number_of_tokens_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"budget\.tokens"):
        _ = BudgetConfig(tokens=text).most_tokens


def test_budgets_are_ordered_by_their_kind_and_number() -> None:
    budgets = ["2M_tokens", "1000", "500k_tokens", None, "0.1"]
    assert sorted(budgets, key=amount) == [None, "0.1", "1000", "500k_tokens", "2M_tokens"]
