"""A budget of FLOPs that selecting takes whole is said before anything is computed or paid for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ds2.config.compose import compose
from ds2.config.stages import flops_text
from ds2.rating import planning
from ds2.runs.preflight import Preflight
from ds2.runs.preflight.compute import budget
from ds2.runs.preflight.finding import Run

ROWS = 40
CHOICES = (
    "pool=jsonl selection=ds2 tracking=none knn.k=20 model=tiny finetune=tiny finetune.max_steps=null "
    "finetune.epochs=1 eval=none plan=true"
).split()
SERVED = ["rater=openai_compatible", "rater.model=m", "rater.base_url=http://127.0.0.1:9/v1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    from helpers.planted import planted_rows

    folder = tmp_path_factory.mktemp("compute")
    rows = planted_rows(ROWS, 6)
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def composed(folder: Path, choices: list[str]):
    paths = [f"pool.path={folder}/pool.jsonl", f"paths.artifacts={folder}/artifacts"]
    return compose([*CHOICES, *paths, *choices])


def stated(flops: str) -> list[str]:
    return ["rater=from_column", "rater.column=true_score", f"rater.flops={flops}"]


def test_what_is_stated_of_selecting_is_refused_from_the_budget_on(folder):
    def found(flops: str, *more: str):
        return Preflight().look(composed(folder, ["budget.flops=1e15", *stated(flops), *more]))[1].problems

    assert found("9e14") == ()
    (line,) = found("1e15")
    assert line.startswith("budget.flops=1e15: selection takes 1e15, and nothing is left to train with")
    assert len(found("9e14", "embedder.flops=2e14")) == 1  # together
    assert found("9e14", "selection.flops=5e13", "embedder.flops=4e13") == ()


def test_ratings_that_would_take_it_are_a_warning_before_one_is_asked_for(folder):
    def found(flops: float):
        config = composed(folder, [*SERVED, "rater.params_b=8", f"budget.flops={flops}"])
        return list(budget(Run(config, frozenset({"rate", "select"}))))

    config = composed(folder, [*SERVED, "rater.params_b=8", "budget.flops=1e10"])
    left = planning.forecast(
        config.rater, Run(config, frozenset()).pool,
        model={"served": "m"}, revision=None, folder=folder / "artifacts" / "answers",
    )  # fmt: skip
    needed = 2 * 8e9 * round(left.tokens_in + left.tokens_out)
    assert left.questions == ROWS
    (line,) = found(needed)
    assert line.warning
    assert line.line.startswith(f"budget.flops={flops_text(needed)}: ratings take about ")
    assert found(needed * 1.01) == []


def test_what_ratings_take_is_not_reckoned_where_it_is_stated(folder):
    config = composed(folder, [*SERVED, "rater.params_b=8", "rater.flops=1", "budget.flops=1e10"])
    assert list(budget(Run(config, frozenset({"rate"})))) == []


def test_budgets_of_samples_and_tokens_are_none_of_this(folder):
    for given in ("budget.samples=10", "budget.tokens=1k"):
        config = composed(folder, [*stated("1e30"), given])
        assert list(budget(Run(config, frozenset({"select"})))) == []
