"""What the missing runs of a grid need."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from ds2.base.errors import UserError
from ds2.base.paths import project_root
from ds2.config.compose import compose
from experiments import grid, needs, plan
from experiments.__main__ import main
from experiments.result import Options, Result

ONE_SEED = ["model=llama_3_1_8b", "seed=42"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


def planned(sweep: str, store: Path, *asked: str) -> Result:
    return plan.plan(grid.look(sweep, Options([*asked, f"paths.artifacts={store}"])))


@pytest.fixture(scope="module")
def table3(store: Path) -> Result:
    return planned("main_table", store, *ONE_SEED)


def rows(result: Result) -> pd.DataFrame:
    return result.tables[0].frame.set_index(["model", "method", "rater"])


def hours(result: Result, method: str) -> float:
    """GPU hours a run of a method, whoever rated."""
    frame = result.tables[0].frame
    (value,) = set(frame.loc[frame["method"] == method, "GPU hours a run"])
    return value


def need(*asked: str) -> needs.Need:
    return needs.need_of(compose(["experiment=paper", "model=llama_3_1_8b", *asked]))


def test_ten_thousand_samples_of_the_paper_train_for_an_hour_and_a_quarter() -> None:
    """25 M tokens, 5,524.5 a second."""
    assert need("selection=random").training == pytest.approx(25e6 / 5_524.5 / 3600)


def test_a_larger_model_is_slower_and_the_whole_pool_is_dearer() -> None:
    large = need("selection=random").training
    small = needs.need_of(compose(["experiment=paper", "selection=random", "model=llama_3_2_3b"])).training
    assert small == pytest.approx(large * 3.2 / 8)
    assert need("selection=full").training == pytest.approx(large * 300_932 / 10_000)


def test_the_speed_is_the_one_that_was_measured() -> None:
    path = project_root() / needs.MEASURED
    measured = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["results"]["lora"]
    assert measured["tokens/s"] == needs.TRAINED_PER_SECOND
    assert round(measured["parameters"] / 8.0e9, 1) == 1.0


def test_a_budget_of_flops_trains_as_many_tokens_as_it_pays_for() -> None:
    for budget in ("budget.flops=4.8e17", "budget.tokens=2M"):
        assert need("selection=random", budget).training == pytest.approx(1e7 / 5_524.5 / 3600)


def test_a_base_model_is_only_evaluated() -> None:
    alone = need("selection=base")
    assert (alone.hours, alone.disk) == (needs.EVALUATION_HOURS, 0)


def test_limas_pool_has_its_own_rows_and_not_the_papers(store: Path) -> None:
    result = planned("lima", store)
    table = rows(result)
    assert table.loc[("llama_3_1_8b", "lima", ""), "GPU hours a run"] == pytest.approx(1.1)  # 1,030 rows
    assert table["GPU hours"].sum() < 120
    mean = table.loc[("llama_3_1_8b", "ds2 (rank)", "gpt_4o_mini")]
    assert mean["runs"] == 6, "three of 1,000 samples, three of 10,000"
    assert mean["GPU hours a run"] == pytest.approx(mean["GPU hours"] / 6, abs=0.05)
    assert mean["GPU hours a run"] == pytest.approx(1.7)


def test_scores_that_come_with_the_pool_cost_nothing_and_cleaned_tokens_more_than_training(
    store: Path,
) -> None:
    result = planned("ablations", store)
    assert not any(note.startswith("rating") for note in result.notes)
    assert set(rows(result)["of these to select"]) == {0}
    trained = hours(result, "ds2 (rank)") - needs.EVALUATION_HOURS
    cleaned = hours(result, "ds2 (rank) (tokens)") - needs.EVALUATION_HOURS
    assert 2 * trained < cleaned < 3 * trained, "two references on half the samples each, then reading"


def test_the_pool_of_the_ablations_is_its_slice() -> None:
    slice_of = ["pool=jsonl", "pool.name=ds2_67k", "pool.path=x.jsonl"]
    whole, part = need("selection=full"), need("selection=full", *slice_of)
    assert part.training == pytest.approx(whole.training * 67_013 / 300_932)
    assert need("selection=full", *slice_of, "pool.limit=1000").training == pytest.approx(
        whole.training * 1000 / 300_932
    )


def test_what_a_selection_measures_is_in_its_cell(table3: Result) -> None:
    """Random reads nothing, perplexity the pool once, LESS four times with gradients."""
    random, perplexity, less = (hours(table3, name) for name in ("random", "perplexity_high", "less"))
    assert random < perplexity < less
    passes = 4 * 300_932 * 500 / 5_524.5 / 3600
    assert less - random == pytest.approx(passes * 1.05, abs=0.2), "the warm-up besides"
    assert rows(table3).loc[("llama_3_1_8b", "less", ""), "disk GB"] > 39, (
        "directions: 4 x 8,192 numbers a row"
    )
    assert any("measuring a pool once" in note and "GB of directions" in note for note in table3.notes)


def test_ifd_reads_twice_what_perplexity_reads() -> None:
    def read(selection: str) -> float:
        (work,) = needs.shared_by(
            compose(["experiment=paper", f"selection={selection}", "selection.scorer=null"])
        )
        return work.hours

    assert read("ifd") == pytest.approx(2 * read("perplexity_low"))


def test_what_is_measured_serves_every_seed_and_budget(store: Path) -> None:
    one = planned("data_scaling", store, "selection=less", "seed=42", "budget=10k")
    many = planned("data_scaling", store, "selection=less")
    one_row, many_row = (result.tables[0].frame.iloc[0] for result in (one, many))
    assert many_row["runs"] == 15
    assert one_row["of these to select"] == many_row["of these to select"] > 20


def test_raters_are_paid_where_they_work_and_once(table3: Result) -> None:
    assert any(
        note.startswith("rating a pool once by each of 3 raters: 1.7 GPU hours, $36 to an API")
        for note in table3.notes
    )
    table = rows(table3)
    api, here = (table.loc[("llama_3_1_8b", "deita", rater)] for rater in ("gpt_4o_mini", "mistral_7b_v0_3"))
    assert (api["of these to select"], here["of these to select"]) == (0, 0.8)
    assert api["dollars"] > here["dollars"] + 30


def test_a_row_a_cell_with_the_runs_that_wait(table3: Result) -> None:
    frame = table3.tables[0].frame
    assert {"base", "random", "ds2 (rank)"} <= set(frame["method"])
    assert frame["runs"].sum() == 19
    assert any("assumed" in note for note in table3.notes)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["experiment=mini"], "no size of model=mini"),
        (
            ["experiment=paper", "selection=full", "pool=jsonl", "pool.name=mine", "pool.path=x"],
            "the pool mine",
        ),
    ],
)
def test_what_is_of_unknown_size_is_one_clear_line(asked: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        needs.need_of(compose(asked))


def test_the_command_refuses_what_does_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["main_table", "--plan", "--mini"]) == 2
    assert "--plan and --export are for the whole experiment" in capsys.readouterr().err
