"""Whether methods keep their order under every recipe: planted orders, planted flips."""

from __future__ import annotations

import numpy as np
from helpers.evaluated import evaluated

from ds2.artifacts.evaluation import RESPONSE_LOSS
from ds2.report.recipes import pairs_of, pairs_table, verdict
from ds2.report.table import ResultTable


def table(folder, shares: dict[str, float], metric: str = "em") -> ResultTable:
    """Three seeds of 400 questions, of which so many are answered right (or, of a loss, so much is lost)."""
    runs = []
    for name, share in shares.items():
        for seed in (1, 2, 3):
            scores = (np.random.default_rng(seed).random(400) < share).astype(float).tolist()
            runs.append(
                evaluated(
                    folder, {"t": float(np.mean(scores))}, f"selection={name}", seed=seed,
                    questions={"t": scores}, metric=metric,
                )
            )  # fmt: skip
    return ResultTable(runs)


def test_an_order_that_holds_everywhere_stays_and_one_that_turns_round_flips_clearly(tmp_path):
    stays = table(tmp_path / "one", {"random": 0.2, "length": 0.5, "knn": 0.8, "full": 0.9})
    turned = table(tmp_path / "two", {"random": 0.2, "length": 0.8, "knn": 0.5, "full": 0.1})
    pairs = {(pair.first, pair.second): pair for pair in pairs_of([stays, turned])}
    assert set(pairs) == {("random", "length"), ("random", "knn"), ("length", "knn")}  # full is a reference
    assert not pairs["random", "knn"].flips
    assert pairs["random", "knn"].clearly_worse == 2
    assert pairs["length", "knn"].flips_clearly
    assert (pairs["length", "knn"].better, pairs["length", "knn"].worse) == (1, 1)
    said = verdict(list(pairs.values()))
    assert (
        "1 of 3 pairs of methods depends on the recipe, of 1 beyond intervals that allow for all recipes"
        in said
    )
    assert "1 of 6 comparisons" in said
    orders = pairs_table(list(pairs.values())).frame.set_index(["first", "second"])["order"]
    assert orders["length", "knn"] == "flips clearly"
    assert orders["random", "length"] == "stays"


def test_a_flip_within_the_intervals_is_not_called_clear(tmp_path):
    one = table(tmp_path / "one", {"random": 0.500, "length": 0.505})
    two = table(tmp_path / "two", {"random": 0.505, "length": 0.500})
    (pair,) = pairs_of([one, two])
    assert pair.flips
    assert not pair.flips_clearly


def test_of_losses_less_is_better(tmp_path):
    (pair,) = pairs_of([table(tmp_path, {"random": 0.2, "length": 0.8}, RESPONSE_LOSS)])
    assert pair.clearly_better == 1


def test_a_pair_without_runs_under_a_recipe_is_compared_under_the_others(tmp_path):
    whole = table(tmp_path / "one", {"random": 0.2, "length": 0.8})
    alone = table(tmp_path / "two", {"random": 0.2})
    (pair,) = pairs_of([whole, alone])
    assert len(pair.gaps) == 1
