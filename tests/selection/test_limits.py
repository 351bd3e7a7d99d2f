"""A budget of tokens or FLOPs is filled and never exceeded, by what the strategy would choose of so many
samples.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ds2.base.errors import UserError
from ds2.config import BudgetConfig
from ds2.config.selection import FilterConfig, RandomSelectionConfig
from ds2.config.stages import amount
from ds2.method.knn import knn_graph
from ds2.selection import choose
from ds2.selection.limits import Training, fill, of_flops, of_tokens
from ds2.selection.request import Readers, Request

COUNTS = np.random.default_rng(1).integers(1, 40, size=200)


def request(budget: float = 1.0) -> Request[RandomSelectionConfig]:
    return Request(RandomSelectionConfig(name="random", strategy="random"), 200, budget, 3)


@pytest.mark.parametrize("most", [45, 500, 2_000])
def test_the_largest_number_of_samples_that_fits(most: int) -> None:
    filled = fill(request(), of_tokens(COUNTS, most))
    choice, used = filled.choice, filled.taken
    assert filled.used is None
    assert not choice.warnings
    size = len(choice.positions)
    assert used == COUNTS[choice.positions].sum() <= most
    one_more = choose(request(size + 1.0))
    assert COUNTS[one_more.positions].sum() > most
    assert choice.positions.tolist() == choose(request(float(size))).positions.tolist()


def test_a_budget_beyond_the_pool_takes_the_pool_and_says_so() -> None:
    filled = fill(request(), of_tokens(COUNTS, 10**6))
    assert len(filled.choice.positions) == 200
    assert filled.taken == COUNTS.sum()
    assert filled.used == COUNTS.sum() / 10**6
    (line,) = filled.choice.warnings
    assert line.startswith("budget.tokens=1000000 is more than the pool's 200 samples take")
    assert f"with {100 * filled.used:.3g} % of the budget" in line
    assert "selection=full" in line


@pytest.mark.parametrize("less", [0, 1])
def test_a_budget_that_just_pays_for_the_pool_is_filled(less: int) -> None:
    filled = fill(request(), of_tokens(COUNTS, int(COUNTS.sum()) - less))
    assert filled.used is None
    assert not filled.choice.warnings


def test_a_strategy_that_runs_out_of_samples_is_told_from_a_full_budget() -> None:
    directions = np.eye(40, dtype=np.float32)[np.arange(200) % 40]
    graph = knn_graph(directions, 16)
    config = replace(request().config, filter=FilterConfig(near_duplicates=0.9))
    asked = replace(
        request(), config=config, readers=Readers(embeddings=lambda: directions, graph=lambda: graph)
    )
    filled = fill(asked, of_tokens(COUNTS, 10**6))
    assert len(filled.choice.positions) == 40
    assert filled.used == filled.taken / 10**6
    assert "more than the 40 of 200 samples it can choose take" in filled.choice.warnings[0]
    assert fill(asked, of_tokens(COUNTS, int(filled.taken) - 1)).used is None


def test_selecting_counts_as_used_of_a_budget_of_flops_that_is_too_large() -> None:
    filled = fill(request(), of_flops(TRAINING, 1e12, selecting=5e11))
    assert filled.used == (5e11 + filled.taken) / 1e12
    assert filled.choice.warnings[0].startswith("budget.flops=1e12 is more than the pool's 200 samples take")


def test_a_budget_below_the_first_sample_is_refused() -> None:
    with pytest.raises(UserError, match=r"budget\.tokens=0: the first sample"):
        fill(request(), of_tokens(COUNTS, 0))


@pytest.mark.parametrize(
    ("text", "count", "kept"),
    [
        ("2M", 2_000_000, "2M"), ("1.5k", 1_500, "1.5k"), ("20000", 20_000, "20k"), ("15k", 15_000, "15k"),
        ("2.01k", 2_010, "2.01k"), ("12345", 12_345, "12345"), ("1234k", 1_234_000, "1234k"),
        ("0.5k", 500, "500"), ("2 m", 2_000_000, "2M"), ("1e9", 1_000_000_000, "1B"), ("2.9", 2, "2"),
    ],
)  # fmt: skip
def test_tokens_are_read_as_people_write_them_and_kept_in_one_way(text: str, count: int, kept: str) -> None:
    budget = BudgetConfig(tokens=text)
    assert (budget.most_tokens, budget.tokens) == (count, kept)
    assert BudgetConfig(tokens=kept).most_tokens == count


@pytest.mark.parametrize("text", ["", "M", "many", "-5", "0.2"])
def test_what_is_no_number_of_tokens_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"budget\.tokens"):
        _ = BudgetConfig(tokens=text).most_tokens


def test_budgets_are_ordered_by_their_kind_and_number() -> None:
    budgets = ["1e18_flops", "2M_tokens", "1000", "3e17_flops", "500k_tokens", None, "0.1"]
    of_samples, of_flops = [None, "0.1", "1000"], ["3e17_flops", "1e18_flops"]
    assert sorted(budgets, key=amount) == [*of_samples, "500k_tokens", "2M_tokens", *of_flops]


TRAINING = Training(COUNTS, parameters=1_000, epochs=3, total_batch=1)


@pytest.mark.parametrize("selecting", [0.0, 4e6])
def test_what_selecting_left_is_spent_on_passes_over_the_subset(selecting: float) -> None:
    most = 3e7
    filled = fill(request(), of_flops(TRAINING, most, selecting=selecting))
    choice, used = filled.choice, filled.taken
    assert filled.used is None
    assert used == 6 * 1_000 * 3 * COUNTS[choice.positions].sum() <= most - selecting
    one_more = choose(request(len(choice.positions) + 1.0))
    assert 6 * 1_000 * 3 * COUNTS[one_more.positions].sum() > most - selecting


def test_a_selection_that_costs_more_leaves_fewer_samples_to_train_on() -> None:
    sizes = [
        len(fill(request(), of_flops(TRAINING, 3e7, selecting=cost)).choice.positions)
        for cost in (0.0, 1e7, 2e7)
    ]
    assert sizes[0] > sizes[1] > sizes[2] > 0


def test_a_selection_that_takes_the_whole_budget_is_one_clear_line() -> None:
    with pytest.raises(UserError, match=r"budget\.flops=3e7: selection alone took 4e7, and nothing"):
        of_flops(TRAINING, 3e7, selecting=4e7)
    with pytest.raises(UserError, match=r"the first sample that selection=random chooses takes"):
        fill(request(), of_flops(TRAINING, 3e7, selecting=3e7 - 1))


def test_cleaned_tokens_pay_for_two_references_and_for_reading() -> None:
    rows = np.arange(10)
    total = int(COUNTS[rows].sum())
    plain = TRAINING.most(rows)
    assert plain == 6 * 1_000 * 3 * total
    reading = 2 * 1_000 * 2 * total
    assert replace(TRAINING, references=0).most(rows) == plain + reading
    assert replace(TRAINING, references=2).most(rows) == plain + plain + reading


def test_samples_that_are_left_out_cost_nothing() -> None:
    lengths = np.where(np.arange(200) < 10, COUNTS, 0)
    assert replace(TRAINING, lengths=lengths).most(np.arange(200)) == TRAINING.most(np.arange(10))


def test_what_could_not_be_trained_on_is_no_part_of_the_subset() -> None:
    counts = COUNTS.copy()
    counts[::3] = 0  # their responses begin beyond finetune.max_tokens
    filled = fill(request(), of_tokens(counts, 500))
    positions = filled.choice.positions
    assert counts[positions].min() > 0
    assert filled.taken == counts[positions].sum() <= 500
    drawn = choose(request(200.0)).positions
    assert positions.tolist() == [row for row in drawn if counts[row] > 0][: len(positions)]
    assert len(filled.choice.reasons) == len(positions)
    (line,) = filled.choice.warnings
    assert "have no response within finetune.max_tokens and are left out" in line


def test_a_choice_of_nothing_that_can_be_trained_on_is_one_clear_line() -> None:
    with pytest.raises(UserError, match=r"nothing is left to train on; raise finetune\.max_tokens"):
        fill(request(), of_tokens(0 * COUNTS, 500))


LONG = np.random.default_rng(4).lognormal(5, 1, size=3_000).astype(np.int64) + 1


def of_long() -> Request[RandomSelectionConfig]:
    return Request(RandomSelectionConfig(name="random", strategy="random"), len(LONG), 1.0, 3)


@pytest.mark.parametrize(("epochs", "batch"), [(1, 128), (5, 128), (2, 16), (0.5, 64)])
def test_no_larger_number_of_samples_fits_whole_steps_either(epochs: float, batch: int) -> None:
    training = Training(LONG, parameters=1_000, epochs=epochs, total_batch=batch)
    order = choose(replace(of_long(), budget=float(len(LONG)))).positions
    costs = np.array([training.most(order[:n]) for n in range(1, len(LONG) + 1)])
    assert (np.diff(costs) < 0).any()  # a step is fuller than the one that it begins
    sizes = []
    for most in np.linspace(costs.min() * 1.01, costs.max() * 0.9, 12):
        filled = fill(of_long(), of_flops(training, most, selecting=0))
        fitting = 1 + np.flatnonzero(costs <= most)
        assert (len(filled.choice.positions), filled.taken) == (fitting[-1], costs[fitting[-1] - 1])
        left = filled.taken < 0.95 * most
        assert (filled.used is not None, len(filled.choice.warnings)) == (left, left)
        sizes.append(len(filled.choice.positions))
    assert sizes == sorted(sizes)


def test_a_part_of_a_budget_that_whole_steps_leave_is_told() -> None:
    training = Training(LONG, parameters=1_000, epochs=1, total_batch=512)
    order = choose(replace(of_long(), budget=float(len(LONG)))).positions
    filled = fill(of_long(), of_flops(training, 1.4 * training.most(order[:512]), selecting=0))
    assert filled.used == pytest.approx(1 / 1.4)
    (line,) = filled.choice.warnings
    assert "uses 71.4 % of it, for one sample more would begin a step" in line
    assert "a smaller finetune.total_batch than 512" in line


def test_a_budget_that_pays_for_a_full_step_is_not_refused_for_one_long_sample() -> None:
    order = choose(replace(of_long(), budget=float(len(LONG)))).positions
    lengths = LONG.copy()
    lengths[order[0]] = LONG.max()  # alone, it fills the step
    training = Training(lengths, parameters=1_000, epochs=1, total_batch=512)
    costs = [training.most(order[:n]) for n in range(1, 513)]
    least = min(costs)
    assert costs[0] > least
    assert len(fill(of_long(), of_flops(training, least, selecting=0)).choice.positions) > 1
    with pytest.raises(UserError, match=r"the first sample that selection=random chooses takes"):
        fill(of_long(), of_flops(training, least - 1, selecting=0))
