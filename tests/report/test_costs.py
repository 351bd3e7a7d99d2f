"""What a run cost: what its records tell, and nothing where they tell nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.synthetic_run import make_run

from ds2.artifacts.run import RunResult
from ds2.artifacts.training import write_metrics
from ds2.config import ChatBackend, LlmRaterConfig, PanelRaterConfig, RaterConfig, TfidfEmbedderConfig
from ds2.models.compute import Compute
from ds2.report.costs import costs, spent

TRAINED = {
    "samples": 10,
    "parameters": 1_100,
    "trainable_parameters": 100,
    "tokens": 5_000,
    "trained_tokens": 2_000,
}


@pytest.fixture
def run(tmp_path: Path) -> RunResult:
    """Its stages took 1 s each and training 1,000 parameters on 5,000 tokens."""
    made = make_run(tmp_path, samples=60, budget=10)
    write_metrics(made.stages["finetune"].path, TRAINED)
    stages = {
        name: replace(stage, record=stage.record | {"wall_seconds": 1.0})
        for name, stage in made.stages.items()
    }
    config = replace(made.config, embedder=TfidfEmbedderConfig(name="tfidf_svd"))
    return replace(made, config=config, stages=stages)


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
    assert costs(run)["rate"].flops is None


def test_an_artifact_of_before_operations_were_counted_is_not_free(run: RunResult) -> None:
    found = spent(run)
    assert found.uncounted == ("rate", "knn")  # TF-IDF, curation and choosing run no model
    assert (found.selection_flops, found.all_flops) == (None, None)


def test_what_selection_took_is_the_sum_of_what_its_stages_counted(run: RunResult) -> None:
    run.config.rater.flops = 1e6
    graph = run.stages["knn"]
    counted = graph.record | {"compute": Compute(0, 5e5).block(1.0)}
    counted_run = replace(run, stages=run.stages | {"knn": replace(graph, record=counted)})
    found = spent(counted_run)
    assert (found.selection_flops, found.uncounted) == (1.5e6, ())
    assert found.all_flops == 1.5e6 + 6 * 1_000 * 5_000
    free = replace(run.config, rater=replace(run.config.rater, flops=0.0))
    assert spent(replace(counted_run, config=free)).selection_flops == 5e5


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
    assert found.flops is None  # how large a model behind an API is, is never guessed
    assert spent(asked).unknown == ()
    sized = replace(asked.config, rater=replace(rater, params_b=8))
    assert costs(replace(asked, config=sized))["rate"].flops == 2 * 8e9 * 1_100_000
    silent = told | {"answers_without_tokens": 3}
    untold = replace(stage, record=record | {"counts": record["counts"] | silent})
    part = replace(asked, config=sized, stages=asked.stages | {"rate": untold})
    assert costs(part)["rate"].flops is None


def test_a_panel_costs_what_its_raters_cost_together(run: RunResult) -> None:
    members = [RaterConfig(name="a", flops=1e6), RaterConfig(name="b", flops=2e6)]
    panel = PanelRaterConfig(name="a+b", raters=["a", "b"], prices={}, members=members)
    rate = run.stages["rate"]
    stages = {f"rate.{one.name}": replace(rate, name=f"rate.{one.name}") for one in members} | run.stages
    judged = replace(run, config=replace(run.config, rater=panel), stages=stages)
    assert costs(judged)["rate"].flops == 3e6
    members[1].flops = None
    assert costs(judged)["rate"].flops is None
    panel.flops = 7e6
    assert costs(judged)["rate"].flops == 7e6


def test_the_base_model_costs_nothing(tmp_path: Path) -> None:
    found = spent(make_run(tmp_path, samples=60, budget=10, stages=("model", "evaluate")))
    assert (found.samples, found.tokens, found.flops, found.selection_seconds) == (None, None, None, 0)
