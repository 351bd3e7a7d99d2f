"""A run's choices as its name and its identity hold them."""

from __future__ import annotations

import pytest

from ds2.config.compose import compose
from ds2.config.stages import budget_text, choices, slug_of


@pytest.mark.parametrize(
    ("budget", "text"),
    [
        (0.1, "0.1"),
        (0.05, "0.05"),
        (1 / 3, "0.333333"),
        (20, "20"),
        (10_000, "10000"),
        (999_999, "999999"),
        (1_000_000, "1e+06"),
        (2_500_000, "2.5e+06"),
        (1_234_567, "1234567"),
        (1_234_568, "1234568"),
        (12_345_678, "12345678"),
    ],
)
def test_a_budget_keeps_its_digits_and_its_slug_of_old(budget, text):
    assert budget_text(budget) == text


def test_budgets_above_a_million_are_different_runs():
    near = [compose(["selection=random", f"budget.samples={n}"]) for n in (1_234_567, 1_234_568)]
    assert [choices(config)["budget"] for config in near] == ["1234567", "1234568"]
    assert len({slug_of(config) for config in near}) == 2
