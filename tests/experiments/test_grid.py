"""Experiments that are grids: status, tables of half-finished sweeps, pages, and what they refuse in one
line.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.evaluated import evaluated, finish

import ds2
from ds2.base.errors import UserError
from ds2.cli.main import run as cli
from ds2.config.compose import compose
from ds2.config.stages import key_of
from ds2.config.sweep import load_sweep
from ds2.report.costs import Spent
from ds2.runs.chain import Chain
from experiments import data_scaling, grid, lima, published, published_cells
from experiments.__main__ import main
from experiments.result import Options

YAML = """
title: Small
note: read this
overrides: [experiment=mini, pool.samples=60, tracking=none]
grids:
  - selection: [random, length]
    seed: [1, 2]
"""
SPENT = Spent(10, 100, 50, 600.0, 0.0, 1.0, 2.0, 0.0, (), ())


@pytest.fixture
def small(tmp_path, monkeypatch) -> list[list[str]]:
    """`sweep=small`, an empty store in the working folder; the overrides of its runs."""
    (tmp_path / "conf" / "sweep").mkdir(parents=True)
    (tmp_path / "conf" / "sweep" / "small.yaml").write_text(YAML)
    (tmp_path / "conf" / "sweep" / "other.yaml").write_text(
        YAML.replace("tracking=none", "tracking=none, finetune.rank=4")
    )
    monkeypatch.setattr("ds2.config.sweep.conf_folders", lambda: {"ds2": tmp_path / "conf"})
    monkeypatch.setattr("experiments.main_table.SWEEP", ("small", "small"))
    monkeypatch.chdir(tmp_path)
    return load_sweep("small").runs()


def planted(runs: list[list[str]], count: int | None = None) -> None:
    rng = np.random.default_rng(0)
    for overrides in runs[:count]:
        scores = (rng.random(50) < 0.5).astype(float)
        mean, answers = float(scores.mean()), scores.tolist()
        tasks = ("mini_familiar", "mini_new")
        finish(Chain(compose(overrides)), dict.fromkeys(tasks, mean), dict.fromkeys(tasks, answers))


def test_status_counts_every_row_and_says_how_to_compute_the_rest(small, capsys):
    planted(small, 3)
    assert main(["status", "small"]) == 1
    out = capsys.readouterr().out
    assert "sweep small: 4 runs: 3 done, 1 missing" in out
    assert "to compute what is missing: ds2 sweep=small" in out
    planted(small)
    assert main(["status", "small"]) == 0
    assert "to compute" not in capsys.readouterr().out


def test_a_half_finished_sweep_is_a_table_that_says_so(small, capsys):
    planted(small, 3)
    assert main(["main_table", "--mini"]) == 1
    out = capsys.readouterr().out
    assert "1 of 2" in out
    for path in (
        Path(line.removeprefix("written: ")) for line in out.splitlines() if line.startswith("written: ")
    ):
        assert path.stat().st_size > 0
    table = pd.read_csv("artifacts/experiments/main_table_mini/main_table_mini.csv")
    assert set(table["waiting"]) == {0, 1}
    assert main(["main_table", "--mini", "--out", "elsewhere", "seed=1"]) == 0
    assert Path("elsewhere/README.md").is_file()


def test_a_damaged_job_record_is_named(small, capsys):
    broken = Path("artifacts/.jobs/old/broken.json")
    broken.parent.mkdir(parents=True)
    broken.write_text("{")
    main(["status", "small"])
    assert "broken.json is damaged and was not read; delete it" in capsys.readouterr().out


def test_a_page_of_two_sweeps_that_disagree_is_refused_and_the_difference_named(small, capsys, monkeypatch):
    monkeypatch.setattr(
        "ds2.cli.sweep.render_many", lambda runs, **_: f"{len(runs)} runs"
    )  # stages are planted empty
    planted(small)
    assert main(["report", "small"]) == 0
    assert Path("artifacts/sweeps/small/report.html").read_text() == "4 runs"
    planted(load_sweep("other").runs())
    capsys.readouterr()
    assert main(["report", "small", "other"]) == 2
    err = capsys.readouterr().err.strip()
    assert len(err.splitlines()) == 1
    assert "two runs claim one cell" in err
    assert "finetune.rank (8, 4)" in err


def test_the_page_has_the_sweep_s_own_baselines_and_says_what_is_missing(small, capsys, monkeypatch):
    seen = {}
    monkeypatch.setattr("ds2.cli.sweep.render_many", lambda runs, **given: seen.update(given) or "page")
    sweep = Path("conf/sweep/small.yaml")
    sweep.write_text(sweep.read_text() + 'baselines: {"*": "", random: length}\n')
    planted(small, 3)
    assert main(["report", "small"]) == 0
    shown = seen["table"].table("t").text
    assert shown["seeds"].tolist() == ["2", "1 of 2"]
    assert shown["to baseline"].map(bool).tolist() == [True, False]
    assert "small: 4 runs: 3 done, 1 missing" in seen["notes"]
    other = Path("conf/sweep/other.yaml")
    other.write_text(YAML.replace("[random, length]", "[knn]"))
    planted(load_sweep("other").runs())
    assert main(["report", "small", "other"]) == 0
    assert any("different baselines" in note for note in seen["notes"])
    assert not seen["table"].differences


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["main_table", "--mini", "budget=20"], "budget takes a name"),
        (["main_table", "--min"], "--min is neither an option"),
        (["main_table", "--out", "paths.artifacts=x"], "--out takes a folder"),
        (["main_table", "--export", "slurm", "paths.artifacts=x"], "--export takes a queue and a folder"),
        (["status", "small", "paths.artifacts=conf/sweep/small.yaml"], "is not a folder"),
        (["status"], "takes names of sweeps"),
        (["status", "no_such"], "sweep=no_such is unknown; there are: other, small"),
        (["report", "small"], "no run of small is finished; to compute: ds2 sweep=small"),
        (["lima", "--mini"], "lima has no miniature"),
        (["main_table", "--mini", "selection=best"], "selection=best is unknown"),
    ],
)
def test_a_user_s_mistake_is_one_line(small, capsys, arguments, message):
    assert main(arguments) == 2
    err = capsys.readouterr().err.strip()
    assert message in err
    assert len(err.splitlines()) == 1


def test_published_cells_stand_at_our_rows_and_tasks():
    cells = published_cells.main_table().values
    for rater, value in (("gpt_4o_mini", 61.4), ("llama_3_1_8b", 60.2), ("mistral_7b_v0_3", 61.1)):
        config = compose(["experiment=paper", f"rater={rater}"])
        assert cells[key_of(config)[1:], "average"].value == value
    base = compose(["experiment=paper", "selection=base"])
    assert cells[key_of(base)[1:], "average"].value == 46.6
    mistral = compose(
        ["experiment=paper", "model=mistral_7b_v0_3", "rater=mistral_7b_v0_3", "selection=deita"]
    )
    assert cells[key_of(mistral)[1:], "paper_gsm8k"].value == 42.5
    scaling = published_cells.data_scaling().values
    random = compose(["experiment=paper", "selection=random", "budget=2.5k"])
    assert (scaling[key_of(random)[1:], "average"].value, scaling[key_of(random)[1:], "average"].std) == (
        54.5,
        0.9,
    )
    assert all("csv" in line for line in published_cells.main_table().notes())


def test_curves_hold_ours_and_the_published_ones(tmp_path):
    from ds2.report.table import ResultTable

    run = evaluated(tmp_path, {"a": 0.5}, "selection=random")
    config = replace(compose(["experiment=paper", "selection=random"]), seed=1)
    printed = published_cells.data_scaling()
    table = ResultTable([replace(run, config=config)], published=printed.values)
    points = data_scaling.curves(table)
    assert points[["budget", "mean", "origin"]].to_numpy().tolist() == [
        [10000.0, 50.0, "ours"],
        [10000.0, 57.43, "paper"],
    ]
    assert data_scaling.draw(points).axes


@pytest.fixture
def judged_pair(tmp_path) -> lima.JudgedPair:
    made = []
    for selection in (["selection=ds2", "rater=gpt_4o_mini"], ["selection=full", "selection.name=lima"]):
        run = evaluated(tmp_path, {"a": 0.5}, *selection)
        config = compose(["experiment=paper", "budget=1k", *selection])
        tuned = replace(run.stages["evaluate"], name="finetune")
        made.append(replace(run, config=config, stages={**run.stages, "finetune": tuned}))
    return lima.JudgedPair("mt_bench", *made, tmp_path / "judge")


def test_a_judge_s_rates_stand_beside_the_published_ones(judged_pair):
    commands = lima.requests(judged_pair, Path("prompts"))
    assert [command.split()[3] for command in commands] == ["answer", "answer", "judge"]
    spec = json.loads(Path(commands[0].split()[-1]).read_text())
    assert spec["prompts"] == "prompts/mt_bench.jsonl"
    assert spec["base_model"] == "meta-llama/Llama-3.1-8B"
    rates = {
        name: {"value": value, "low": 0, "high": 1}
        for name, value in (("win", 0.5), ("tie", 0.2), ("loss", 0.3))
    }
    (judged_pair.folder / "rates.json").write_text(json.dumps(rates))
    table = lima.judged([judged_pair])
    single = table[table["seeds"] == 1].iloc[0]
    assert (single["win"], single["loss"], single["win (paper)"]) == (50.0, 30.0, 40.6)
    assert len(table) == len(published.read("lima_judge"))
    assert lima.draw(table).axes


def test_a_damaged_judgement_is_named(judged_pair):
    judged_pair.folder.mkdir()
    (judged_pair.folder / "rates.json").write_text('{"win": 1}')
    with pytest.raises(UserError, match="rates.json is no result of python -m eval judge"):
        lima.judged([judged_pair])


@pytest.fixture
def recipes(small, tmp_path) -> None:
    """`sweep=small` under two recipes, the order of its methods another under each. All runs are done."""
    yaml = "recipes: [finetune.learning_rate]\n" + YAML + "    finetune.learning_rate: [1e-3, 1e-2]\n"
    (tmp_path / "conf" / "sweep" / "small.yaml").write_text(yaml)
    for overrides in load_sweep("small").runs():
        better = ("selection=length" in overrides) == ("finetune.learning_rate=0.01" in overrides)
        scores = [float(better)] * 40 + [0.0, 1.0] * 5
        values = dict.fromkeys(("mini_familiar", "mini_new"), float(np.mean(scores)))
        finish(Chain(compose(overrides)), values, dict.fromkeys(values, scores))


def test_a_sweep_of_recipes_has_a_table_of_each_and_says_how_often_the_order_flips(recipes, tmp_path, capsys):
    assert cli(["sweep=small"]) == 0
    out = capsys.readouterr().out
    assert "finetune.learning_rate=0.001" in out
    assert "The order of 1 of 1 pairs of methods depends on the recipe, of 1 beyond intervals that" in out
    written = (tmp_path / "artifacts" / "sweeps" / "small" / "table.md").read_text()
    assert "**finetune.learning_rate=0.01**" in written
    assert "flips clearly" in written


def test_what_is_done_of_a_sweep_of_recipes_is_shown_without_computing(recipes, monkeypatch, capsys):
    monkeypatch.setattr("experiments.grid.sweep_name", lambda *_, **__: "small")
    missing = ["seed=2,3", "finetune.learning_rate=1e-3,1e-1"]
    assert main(["robust", *missing]) == 1
    out = capsys.readouterr().out
    assert "8 runs: 2 done, 6 missing" in out
    assert "pairs of methods depends on the recipe" in out
    table = pd.read_csv("artifacts/experiments/robust/recipe_1.csv")
    assert set(table["waiting"]) == {1}
    loaded = ds2.load_sweep(["sweep=small"])
    assert set(loaded.table["recipe"]) == set(loaded.results["recipe"])
    assert len(set(loaded.table["recipe"])) == 2
    assert "finetune.learning_rate=0.01" in loaded._repr_html_()


def test_costs_and_pages_of_a_sweep_of_recipes_tell_the_recipes_apart(recipes, monkeypatch, capsys):
    monkeypatch.setattr("experiments.costs.spent", lambda run: SPENT)
    assert main(["costs", "small"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "random at 10 % (learning_rate=0.001)" in out
    costs = pd.read_csv("artifacts/experiments/costs_small/costs.csv")
    assert costs["method"].tolist() == ["random", "random", "length", "length"]
    assert costs["recipe"].tolist() == ["finetune.learning_rate=0.001", "finetune.learning_rate=0.01"] * 2
    monkeypatch.setattr("ds2.cli.sweep.render_many", lambda runs, **given: f"{len(runs)}: {given['title']}")
    assert main(["report", "small"]) == 0
    pages = {page.read_text() for page in Path("artifacts/sweeps/small").glob("*/report.html")}
    assert pages == {f"4: Small · finetune.learning_rate={rate}" for rate in ("0.001", "0.01")}
    assert main(["report", "small", "other"]) == 2
    assert "report it alone" in capsys.readouterr().err


@pytest.mark.parametrize("plan", [[], ["plan=true"]])
def test_runs_that_would_claim_one_cell_are_refused_before_any_is_made(small, tmp_path, capsys, plan):
    command = ["sweep=small", "finetune.learning_rate=5e-4,2e-3", *plan]
    assert cli(command) == 2
    err = capsys.readouterr().err
    assert "two runs would claim one cell of the table, mini-random" in err
    assert "finetune.learning_rate (0.0005, 0.002)" in err
    assert not list(Path().glob("artifacts/*/*/record.json"))
    with pytest.raises(UserError, match="would claim one cell"):
        grid.look("small", Options(command[1:], launch=True))
    assert cli([*command, "until=select", "plan=true"]) == 0  # no table, no cells
    file = tmp_path / "conf" / "sweep" / "small.yaml"
    file.write_text("recipes: [finetune.learning_rate]\n" + YAML)
    assert cli([*command, "plan=true"]) == 0
    file.write_text("recipes: [finetune.nope]\n" + YAML)
    assert cli(command) == 2
    assert "recipes: finetune.nope is a key of none of its grids" in capsys.readouterr().err
