"""What the missing runs of a grid need."""

from __future__ import annotations

import json

import pytest

from ds2.base.errors import UserError
from ds2.base.paths import project_root
from ds2.config.compose import compose
from experiments import grid, plan
from experiments.__main__ import main
from experiments.result import Options

ONE_SEED = ["model=llama_3_1_8b", "seed=42"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> grid.Grid:
    store = tmp_path_factory.mktemp("store")
    return grid.look("main_table", Options([*ONE_SEED, f"paths.artifacts={store}"]))


def test_hours_are_tokens_over_speed_and_a_larger_model_is_slower() -> None:
    small, large = (
        plan.need_of(compose(["experiment=paper", "selection=random", f"model={model}"])).hours
        - plan.EVALUATION_HOURS
        for model in ("llama_3_2_3b", "llama_3_1_8b")
    )
    tokens = 10_000 * 5 * plan.TOKENS_A_SAMPLE
    assert large == pytest.approx(tokens / plan.TRAINED_PER_SECOND / 3600)
    assert small == pytest.approx(large * 3.2 / 8)
    full = plan.need_of(compose(["experiment=paper", "selection=full"])).hours - plan.EVALUATION_HOURS
    assert full == pytest.approx(large * plan.POOL / 10_000)


def test_the_speed_is_the_one_that_was_measured() -> None:
    path = project_root() / plan.MEASURED
    measured = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["results"]["lora"]
    assert measured["tokens/s"] == plan.TRAINED_PER_SECOND
    assert round(measured["parameters"] / 8.0e9, 1) == 1.0


def test_a_budget_of_flops_trains_as_many_tokens_as_it_pays_for() -> None:
    asked = ["experiment=paper", "selection=random", "model=llama_3_1_8b", "budget.flops=4.8e17"]
    assert plan.need_of(compose(asked)).training == pytest.approx(1e7 / plan.TRAINED_PER_SECOND / 3600)
    tokens = ["experiment=paper", "selection=random", "model=llama_3_1_8b", "budget.tokens=2M"]
    assert plan.need_of(compose(tokens)).training == pytest.approx(1e7 / plan.TRAINED_PER_SECOND / 3600)


def test_a_base_model_is_only_evaluated() -> None:
    need = plan.need_of(compose(["experiment=paper", "selection=base"]))
    assert (need.hours, need.disk) == (plan.EVALUATION_HOURS, 0)


def test_a_row_a_cell_with_the_runs_that_wait(swept: grid.Grid) -> None:
    result = plan.plan(swept)
    rows = result.tables[0].frame
    assert {"base", "random", "ds2 (rank)"} <= set(rows["method"])
    assert rows["runs"].sum() == len(swept.expected)
    assert any("assumed" in note for note in result.notes)


def test_a_model_of_unknown_size_is_one_clear_line() -> None:
    with pytest.raises(UserError, match="no size of model=mini"):
        plan.need_of(compose(["experiment=mini"]))


def test_the_command_refuses_what_does_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["main_table", "--plan", "--mini"]) == 2
    assert "--plan and --export are for the whole experiment" in capsys.readouterr().err
