"""What a run cost: what its records tell, and nothing where they tell nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.synthetic_run import make_run

from ds2.artifacts.run import RunResult
from ds2.artifacts.training import write_metrics
from ds2.config import ChatBackend, LlmRaterConfig
from ds2.report.costs import costs, spent

TRAINED = {"parameters": 1_100, "trainable_parameters": 100, "tokens": 5_000, "trained_tokens": 2_000}


@pytest.fixture
def run(tmp_path: Path) -> RunResult:
    """Its stages took 1 s each and training 1,000 parameters on 5,000 tokens."""
    made = make_run(tmp_path, samples=60, budget=10)
    write_metrics(made.stages["finetune"].path, TRAINED)
    stages = {
        name: replace(stage, record=stage.record | {"wall_seconds": 1.0})
        for name, stage in made.stages.items()
    }
    return replace(made, stages=stages)


def test_training_costs_six_operations_a_parameter_of_the_base_model_and_token(run: RunResult) -> None:
    found = spent(run)
    assert (found.samples, found.tokens, found.responses) == (10, 5_000, 2_000)
    assert found.flops == 6 * 1_000 * 5_000
    assert found.training_seconds == 1.0


def test_scores_from_elsewhere_cost_what_nobody_knows_and_not_nothing(run: RunResult) -> None:
    found = spent(run)
    assert (found.unknown, found.dollars) == (("rate",), None)
    assert found.selection_seconds == 4.0  # embed, knn, curate, select
    assert costs(run)["rate"].seconds is None
    assert costs(run)["embed"].flops is None


def test_a_language_model_s_answers_count_with_tokens_and_price(run: RunResult) -> None:
    rater = LlmRaterConfig(name="asked", backend=ChatBackend.openai, model="m")
    rater.runtime.price.input, rater.runtime.price.output = 2.0, 10.0
    told = {"prompt_tokens": 1_000_000, "cached_tokens": 0, "completion_tokens": 100_000}
    stage = run.stages["rate"]
    record = stage.record | {"counts": stage.record["counts"] | told}
    asked = replace(
        run,
        config=replace(run.config, rater=rater),
        stages=run.stages | {"rate": replace(stage, record=record)},
    )
    found = costs(asked)["rate"]
    assert (found.seconds, found.tokens, found.dollars) == (1.0, 1_100_000, 3.0)
    assert spent(asked).unknown == ()


def test_the_base_model_costs_nothing(tmp_path: Path) -> None:
    found = spent(make_run(tmp_path, samples=60, budget=10, stages=("model", "evaluate")))
    assert (found.samples, found.tokens, found.flops, found.selection_seconds) == (None, None, None, 0)
