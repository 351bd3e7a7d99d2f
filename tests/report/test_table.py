"""The table of a sweep: grouping over seeds, honest spreads, nothing lost, nothing mixed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers.evaluated import evaluated

from ds2.artifacts.evaluation import RESPONSE_LOSS
from ds2.artifacts.subset import BUDGET_USED
from ds2.base.errors import UserError
from ds2.config.stages import key_of
from ds2.report.table import ResultTable
from ds2.report.table_rows import Published, task_names
from ds2.report.table_text import BEST, TIED, markdown


def text(table: ResultTable) -> pd.DataFrame:
    return table.table("t").text


def test_cells_are_mean_and_sample_standard_deviation_over_seeds_in_points(tmp_path):
    values = [0.50, 0.60, 0.76]
    runs = [evaluated(tmp_path, {"a": v}, "selection=random", seed=i) for i, v in enumerate(values)]
    shown = text(ResultTable(runs))
    assert list(shown) == ["method", "a", "average", "seeds"]
    expected = f"{100 * np.mean(values):.1f} ± {100 * np.std(values, ddof=1):.1f}"
    assert shown.values.tolist() == [["random", expected, expected, "3"]]


def test_a_row_whose_samples_ended_before_its_budget_is_named_and_no_other(tmp_path):
    runs = [
        evaluated(tmp_path, {"a": 0.5}, f"selection={name}", "budget.tokens=5M")
        for name in ("random", "length")
    ]
    folder = tmp_path / "select"
    counts = {"selected": 60, "pool": 60, BUDGET_USED: 0.00321}
    selected = replace(runs[0].stages["evaluate"], name="select", path=folder, record={"counts": counts})
    runs[0].stages["select"] = selected
    (line,) = (line for line in ResultTable(runs).notes() if "Not matched" in line)
    assert line.endswith("they leave a part of the budget: random at 5M tokens (0.321 % used).")
    assert not any("Not matched" in line for line in ResultTable(runs[1:]).notes())


def test_one_seed_shows_the_evaluation_s_own_error_and_the_notes_say_so(tmp_path):
    table = ResultTable([evaluated(tmp_path, {"a": 0.5}, "selection=random")])
    assert text(table).values.tolist() == [["random", "50.0 ± 1.0", "50.0 ± 1.0", "1"]]
    assert "standard error over questions" in table.notes()[0]


def test_the_error_of_an_average_over_tasks_is_that_of_a_mean_of_independent_scores(tmp_path):
    shown = text(ResultTable([evaluated(tmp_path, {"a": 0.5, "b": 0.7}, "selection=random")]))
    assert shown["average"].tolist() == [f"60.0 ± {np.hypot(1, 1) / 2:.1f}"]


def test_in_a_table_with_several_seeds_the_spread_is_over_seeds_or_nothing(tmp_path):
    runs = [evaluated(tmp_path, {"a": v}, "selection=random", seed=i) for i, v in enumerate((0.4, 0.6))]
    table = ResultTable([*runs, evaluated(tmp_path, {"a": 0.7}, "selection=length")])
    assert text(table)["a"].tolist() == ["50.0 ± 14.1", "70.0"]
    assert "A row of one seed has no ±." in table.notes()


def test_a_run_that_lost_a_task_keeps_the_others_and_has_no_average(tmp_path):
    """Its average would be over fewer, perhaps easier tasks, and stand beside whole ones."""
    runs = [
        evaluated(tmp_path, {"a": 0.2, "b": 0.8}, f"selection={method}", seed=seed)
        for method in ("random", "length")
        for seed in (1, 2)
    ]
    broken = evaluated(tmp_path, {"b": 0.8}, "selection=length", seed=3, asked=["a", "b"])
    table = ResultTable([*runs, broken])
    shown = text(table).set_index("method")
    assert shown.loc["length", "average"] == shown.loc["random", "average"] == "50.0 ± 0.0"
    assert shown.loc["length", "seeds"] == "2 of 3"
    averages = table.frame().query("task == 'average'").set_index(["method", "seed"])["value"]
    assert np.isnan(averages["length", 3])
    assert set(table.marks.values()) == {BEST, TIED}


def test_rows_without_a_seed_in_common_cannot_be_told_apart(tmp_path):
    runs = [
        evaluated(tmp_path, {"a": 0.2}, "selection=random", seed=1),
        evaluated(tmp_path, {"a": 0.9}, "selection=length", seed=2),
    ]
    waiting = [(replace(run.config, seed=3), "missing") for run in runs]
    table = ResultTable(runs, waiting)
    assert {key[3]: mark for (key, task), mark in table.marks.items() if task == "a"} == {
        "length": BEST,
        "random": TIED,
    }


def test_budgets_stand_by_size(tmp_path):
    runs = [
        evaluated(tmp_path, {"a": 0.5}, "selection=random", f"budget.samples={b}") for b in (0.1, 0.025, 0.4)
    ]
    assert text(ResultTable(runs))["budget"].tolist() == ["0.025", "0.1", "0.4"]


def test_a_task_is_named_without_its_prefix_unless_that_is_another_s_name():
    assert task_names(["paper_gsm8k", "mmlu"]) == {"paper_gsm8k": "gsm8k", "mmlu": "mmlu"}
    assert task_names(["paper_gsm8k", "gsm8k"]) == {"paper_gsm8k": "paper_gsm8k", "gsm8k": "gsm8k"}


def test_rows_are_methods_and_raters_and_columns_that_do_not_vary_are_left_out(tmp_path):
    runs = [
        evaluated(tmp_path, {"a": 0.1}, "selection=base"),
        evaluated(tmp_path, {"a": 0.2}, "selection=ds2", "rater=simulated_mistral_7b"),
        evaluated(tmp_path, {"a": 0.3}, "selection=ds2", "rater=simulated_gpt_4o_mini"),
        evaluated(tmp_path, {"a": 0.4}, "selection=oracle"),
    ]
    shown = text(ResultTable(runs))
    assert "model" not in shown
    assert list(zip(shown["method"], shown["rater"], strict=True)) == [
        ("base", ""),
        ("oracle", ""),
        ("ds2 (rank)", "simulated_mistral_7b"),
        ("ds2 (rank)", "simulated_gpt_4o_mini"),
    ]


def test_a_missing_task_and_what_is_not_done_are_said(tmp_path):
    done = [
        evaluated(tmp_path, {"a": 0.1, "b": 0.2}, "selection=random"),
        evaluated(tmp_path, {"a": 0.3}, "selection=full"),
    ]
    config = replace(done[0].config, seed=2)
    other = evaluated(tmp_path, {"a": 0.1}, "selection=length").config
    shown = text(ResultTable(done, [(config, "running"), (other, "failed")]))
    assert shown["seeds"].tolist() == ["1 of 2", "1", "0 of 1"]
    assert shown["b"].tolist() == ["20.0 ± 1.0", "missing", "failed"]


def test_a_run_without_a_seed_counts_once(tmp_path):
    run = evaluated(tmp_path, {"a": 0.5}, "selection=base")
    again = replace(run, config=replace(run.config, seed=2))
    assert text(ResultTable([run, again]))["seeds"].tolist() == ["1"]


def test_two_different_runs_in_one_cell_are_refused_and_what_differs_is_named(tmp_path):
    one = evaluated(tmp_path, {"a": 0.5}, "selection=random")
    other = evaluated(tmp_path, {"a": 0.9}, "selection=random", "finetune.max_steps=60")
    with pytest.raises(UserError, match=r"differ in finetune.max_steps \(120, 60\)"):
        ResultTable([one, other])


def test_the_published_value_stands_beside_ours_and_a_second_hand_one_is_marked(tmp_path):
    runs = [
        evaluated(tmp_path, {"a": 0.5}, "selection=random"),
        evaluated(tmp_path, {"a": 0.6}, "selection=length"),
    ]
    keys = [key_of(run.config)[1:] for run in runs]
    published = {
        (keys[0], "average"): Published(58.1, 0.4),
        (keys[1], "average"): Published(59.0, second_hand=True),
    }
    table = ResultTable(runs, published=published)
    assert text(table)["average"].tolist() == ["50.0 ± 1.0 [58.1 ± 0.4]", "60.0 ± 1.0 [59.0*]"]
    assert any("*: second-hand" in line for line in table.notes())


def test_a_table_without_any_run_still_shows_what_is_published(tmp_path):
    config = evaluated(tmp_path, {"a": 0.5}, "selection=random").config
    table = ResultTable(
        [], [(config, "missing")], published={(key_of(config)[1:], "average"): Published(58.1)}
    )
    assert text(table).to_numpy().tolist() == [["random", "missing [58.1]", "0 of 1"]]
    assert "method" in markdown(table.table("t"))


def test_rows_of_one_rater_stand_together_after_those_without_one(tmp_path):
    raters = ("simulated_mistral_7b", "simulated_gpt_4o_mini")
    choices = [(s, r) for s in ("ds2_without_curation", "ds2") for r in raters]
    runs = [evaluated(tmp_path, {"a": 0.5}, f"selection={s}", f"rater={r}") for s, r in choices]
    table = ResultTable([*runs, evaluated(tmp_path, {"a": 0.5}, "selection=base")])
    assert [(key[3], key[4]) for key in table.by_key] == [
        ("base", None),
        *((method, rater) for rater in raters for method in ("ds2_without_curation", "ds2 (rank)")),
    ]


def test_rows_of_two_pools_stand_apart_each_beside_its_own_baseline(tmp_path):
    runs = [
        evaluated(tmp_path, {"a": value}, f"selection={selection}", f"pool.name={pool}")
        for pool, values in (("pure", (0.5, 0.9)), ("impure", (0.4, 0.5)))
        for selection, value in zip(("random", "length"), values, strict=True)
    ]
    table = ResultTable(runs)
    shown = text(table)
    assert shown["pool"].tolist() == ["pure", "pure", "impure", "impure"]
    for key in table.by_key:
        baseline = table.row_of(key, "random")
        assert baseline is not None
        assert all(run.config.pool.name == key[0] for run in baseline.runs.values())
    assert [key[0] for key, task in table.marks if task == "a"].count("impure") == 2


def answers(rng: np.random.Generator, share: float) -> list[float]:
    return (rng.random(400) < share).astype(float).tolist()


@pytest.fixture
def compared(tmp_path):
    """random .4, length .8, knn .8 (other questions right), oracle 1.0: three seeds, 400 questions."""
    rng, runs = np.random.default_rng(0), []
    for method, share in (("random", 0.4), ("length", 0.8), ("knn", 0.8), ("oracle", 1.0)):
        for seed in range(3):
            right = answers(rng, share)
            runs.append(
                evaluated(
                    tmp_path, {"a": np.mean(right)}, f"selection={method}", seed=seed, questions={"a": right}
                )
            )
    return ResultTable(runs)


def test_the_best_and_what_cannot_be_told_from_it_are_marked_references_aside(compared):
    by_method = {str(key[3]): mark for (key, task), mark in compared.marks.items() if task == "a"}
    assert sorted(by_method) == ["knn", "length"]
    assert sorted(by_method.values()) == [BEST, TIED]


def test_differences_to_the_baseline_come_with_an_interval_and_what_was_resampled(compared):
    gaps = {str(key[3]): gap for (key, task), gap in compared.differences.items() if task == "average"}
    assert sorted(gaps) == ["knn", "length", "oracle"]
    assert gaps["oracle"].over == "seeds and questions"
    assert gaps["oracle"].low < 0.6 < gaps["oracle"].high + 0.05
    assert gaps["oracle"].clear
    shown = text(compared)
    assert shown["to baseline"][0] == ""
    assert shown["to baseline"][3].startswith("+")
    assert any("random" in line and "seeds and questions" in line for line in compared.notes())
    summary = compared.summary()
    row = summary[(summary["method"] == "oracle") & (summary["task"] == "average")].iloc[0]
    assert row["low"] < row["difference"] < row["high"]
    assert row["baseline"] == "random"


def test_a_method_may_have_its_own_baseline(compared):
    table = ResultTable(
        [run for row in compared.by_key.values() for run in row.runs.values()], baselines={"knn": "length"}
    )
    assert {str(key[3]) for key, _ in table.differences} == {"knn"}


def test_losses_are_shown_in_nats_and_the_least_is_the_best(tmp_path):
    rows = {"random": [2.0, 2.2], "length": [1.0, 1.3]}
    runs = [
        evaluated(
            tmp_path, {"apart": sum(losses) / 2}, f"selection={name}", seed=seed, metric=RESPONSE_LOSS,
            questions={"apart": losses},
        )
        for name, losses in rows.items()
        for seed in (1, 2)
    ]  # fmt: skip
    table = ResultTable(runs)
    shown = text(table).set_index("method")
    assert shown.loc["length", "apart"] == "1.150 ± 0.000"
    assert shown.loc["length", "to baseline"].startswith("-0.950 [")
    assert {key[3]: mark for (key, task), mark in table.marks.items() if task == "apart"} == {"length": BEST}
    assert "nats a token" in table.notes()[0]
    assert "Points" not in table.notes()[0]
