"""What Weights & Biases is told, read back from an offline run with its own tool."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.planted_panel import make_panel_run
from helpers.synthetic_run import make_run

from ds2.artifacts.evaluation import Evaluation, Result
from ds2.artifacts.ratings import write_report
from ds2.artifacts.run import RunResult
from ds2.artifacts.step import Status
from ds2.config import TrackingMode
from ds2.config.compose import compose
from ds2.config.sweep import load_sweep
from ds2.rating.outcomes import RatingReport
from ds2.report import facts, panel_facts
from ds2.report.trackers.settings import settings_of
from ds2.report.trackers.wandb_window import WandbWindow
from ds2.report.trackers.window import Identity
from ds2.report.tracking import Tracker, _costs, _scores


def track(run: RunResult, **options) -> list[str]:
    said: list[str] = []
    tracker = Tracker.start(run.config, name=run.name, run_id="0123456789abcdef", say=said.append)
    for stage in run.stages.values():
        tracker.log_stage(stage)
    assert tracker.finish(run) is not bool(said)
    return said


def inspect(folder: Path) -> dict[str, dict]:
    """Configuration, summary, history and alert of the one offline run, as its records say in turn."""
    (run,) = folder.glob("offline-run-*")
    tool = Path(sys.executable).parent / "wandb"
    out = subprocess.run([tool, "leet", "inspect", "--json", run], capture_output=True, text=True, check=True)
    told: dict[str, dict] = {"run": {}, "config": {}, "summary": {}, "logged": {}, "alert": {}}
    for record in map(json.loads, out.stdout.splitlines()):
        if record["type"] == "run":
            told["run"] |= record["run"]
            told["config"] |= record["run"].get("config", {}).get("update", {})
        elif record["type"] == "summary":
            told["summary"] |= record["summary"].get("update", {})
        elif record["type"] == "history":
            told["logged"] |= record["history"]["item"]
        elif record["type"] == "alert":
            told["alert"] |= record["alert"]
    return told


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> tuple[RunResult, dict[str, dict]]:
    folder = tmp_path_factory.mktemp("tracked")
    run = make_run(folder)
    assert track(run) == []
    return run, inspect(folder / "wandb" / "wandb")


def test_the_run_is_identified_by_its_fingerprint(told):
    run, records = told
    assert "0123456789abcdef" in json.dumps(records["run"])
    assert run.name in json.dumps(records["run"])


def test_choices_are_top_level_configuration_keys(told):
    _, records = told
    expected = {"rater": "gpt_4o_mini", "selection": "ds2", "budget": 60, "base_model": "mini", "seed": 42}
    assert {key: records["config"][key] for key in expected} == expected
    assert (records["config"]["curation"], records["config"]["curation_k"]) == ("rank", 10)
    assert records["config"]["run"]["curation"]["method"] == "rank"


def test_results_counts_and_times_are_in_the_summary(told):
    run, logged = told
    evaluation = Evaluation.read(run.stages["evaluate"].path)
    for task, value in evaluation.scores.items():
        assert logged["summary"][f"eval/{task}"] == pytest.approx(value)
        stderr = evaluation.result(task).stderr
        assert logged["summary"][f"eval/{task}_stderr"] == pytest.approx(stderr)
    assert logged["summary"]["eval/average"] == pytest.approx(evaluation.average)
    assert logged["summary"]["rate/wall_seconds"] == pytest.approx(2.1)
    assert logged["summary"]["select/fingerprint"] == run.stages["select"].fingerprint
    assert set(facts.length_numbers(run)) <= set(logged["summary"])
    assert "length/selection_spearman" in logged["summary"]
    assert any("near-equal optima" in text for text in logged["summary"]["warnings"])


def test_metrics_are_named_as_in_the_tables_and_a_missing_average_is_left_out():
    results = [Result(task="paper_gsm8k", metric="em", value=0.4, stderr=0.02, n=10)]
    evaluation = Evaluation(scores={"paper_gsm8k": 0.4}, results=results, average=None)
    assert _scores(evaluation) == {"eval/gsm8k": 0.4, "eval/gsm8k_stderr": 0.02}


def test_settings_of_a_curation_without_say_are_none(tmp_path):
    run = make_run(tmp_path)
    config = replace(run.config, selection=compose(["experiment=mini", "selection=random"]).selection)
    assert track(replace(run, config=config)) == []
    config = inspect(tmp_path / "wandb" / "wandb")["config"]
    assert (config["curation_k"], config["curation_confidence"]) == ("none", "none")


def test_curve_figures_and_tables_are_logged(told):
    _, records = told
    for key in (
        "finetune/loss",
        "finetune/learning_rate",
        "curate/transition",
        "curate/transition_table",
        "curate/scores",
        "select/sources",
        "select/length",
        "eval/results",
    ):
        assert key in records["logged"] or f"{key}._type" in records["logged"], key


def test_nothing_is_kept_outside_its_folder(tmp_path, monkeypatch):
    home = tmp_path / "home"
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(home))
    before = dict(os.environ)
    run = make_run(tmp_path / "run", stages=("rate", "curate", "select"))
    assert track(run) == []
    assert not [path for path in home.glob("**/wandb/**/*") if path.is_file()]
    assert list((tmp_path / "run" / "wandb" / "data").rglob("*"))
    changed = {name for name, value in os.environ.items() if before.get(name) != value}
    assert changed <= {"WANDB_SERVICE"}  # W&B's own: the service that later runs of this process share


def test_its_files_go_where_the_person_or_wandb_dir_says_else_into_the_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_DIR", raising=False)
    plain, own = (compose([f"paths.artifacts={tmp_path}/a", *own]).paths for own in ([], ["paths.wandb=w"]))
    assert (plain.wandb_folder, own.wandb_folder) == (tmp_path / "a" / "wandb", tmp_path / "w")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "env"))
    assert (plain.wandb_folder, own.wandb_folder) == (tmp_path / "env", tmp_path / "w")


def test_a_tracker_that_fails_says_so_once_and_costs_nothing(tmp_path, monkeypatch):
    import wandb

    run = make_run(tmp_path)
    monkeypatch.setattr(wandb, "init", lambda **_: (_ for _ in ()).throw(RuntimeError("no service")))
    assert track(run) == ["tracking stopped: RuntimeError: no service"]


def test_dollars_are_the_price_of_the_rater_s_tokens(tmp_path):
    run = make_run(tmp_path, stages=("rate",))
    assert _costs(run)["cost/usd"] == 0  # no language model was asked
    tokens = {"prompt_tokens": 3_000_000, "completion_tokens": 100_000, "cached_tokens": 1_000_000}
    record = {**run.stages["rate"].record, "counts": tokens}
    stages = {"rate": replace(run.stages["rate"], record=record)}
    for choices, dollars in (
        (["rater=gpt_4o_mini", "rater.runtime.price.input=1", "rater.runtime.price.output=5"], 3.5),
        (["rater=gpt_4o_mini", "rater.model=somebody-s-own"], None),
    ):
        rated = replace(run, config=replace(run.config, rater=compose(choices).rater), stages=stages)
        assert _costs(rated).get("cost/usd") == dollars


def test_tokens_that_are_not_told_cost_nothing_that_is_known(tmp_path):
    run = make_run(tmp_path, stages=("rate",))
    config = replace(run.config, rater=compose(["rater=gpt_4o_mini"]).rater)
    known = {"prompt_tokens": 30, "completion_tokens": 1, "cached_tokens": 0, "answers_without_tokens": 4}
    for counts in (known, dict.fromkeys(known)):
        stage = replace(run.stages["rate"], record={**run.stages["rate"].record, "counts": counts})
        assert "cost/usd" not in _costs(replace(run, config=config, stages={"rate": stage}))


def test_online_what_was_reused_is_an_input_and_what_was_computed_an_output(tmp_path, monkeypatch):
    import wandb

    run = make_run(tmp_path)
    online = replace(run.config, tracking=replace(run.config.tracking, mode=TrackingMode.online))
    service = Service()
    monkeypatch.setattr(wandb, "init", lambda **_: service)
    WandbWindow(online, Identity("n", "f", "g", (), {})).lineage(run)
    reused = {name for name, stage in run.stages.items() if stage.status is Status.reused}
    assert reused
    assert {artifact.metadata["stage"] for artifact in service.used} == reused
    assert {artifact.metadata["stage"] for artifact in service.logged} == set(run.stages) - reused
    subset = next(artifact for artifact in service.logged if artifact.type == "subset")
    assert subset.name == f"subset-{run.stages['select'].fingerprint}"


class Service:
    """The two calls of a W&B run that make lineage."""

    def __init__(self) -> None:
        self.used: list[Any] = []
        self.logged: list[Any] = []

    def use_artifact(self, artifact: Any) -> None:
        self.used.append(artifact)

    def log_artifact(self, artifact: Any) -> None:
        self.logged.append(artifact)


def test_the_outcomes_of_ratings_are_a_table_and_a_collapsed_rater_an_alert(tmp_path, monkeypatch):
    run = make_run(tmp_path, stages=("rate",))
    rate = run.stages["rate"]
    outcomes = {"orchard": Counter(parsed=590, repaired=3, unreadable=7)}
    write_report(rate.path, RatingReport(outcomes, models=Counter(m=600), answers=607))
    rate.record["counts"].update(largest_share=0.97, answers=607, replayed=100)
    rate.record["wall_seconds"] = 13.0
    rate.record["warnings"].append("THE RATER HAS COLLAPSED")
    assert track(run) == []
    told = inspect(tmp_path / "wandb" / "wandb")
    assert "rate/outcomes._type" in told["logged"]
    assert told["alert"]["title"] == "The rater has collapsed"
    assert told["summary"]["rate/answers_per_second"] == 39  # 507 were asked for


@pytest.mark.parametrize(
    ("selection", "silent"),
    [
        ("random", {"rater", "embedder", "curation"}),
        ("base", {"rater", "embedder", "curation", "budget", "finetune"}),
        ("full", {"rater", "embedder", "curation", "budget"}),
        ("ds2", set()),
    ],
)
def test_a_choice_without_a_say_is_not_named(selection, silent):
    settings = settings_of(compose(["experiment=mini", f"selection={selection}"]))
    choices = {name: value for name, value in settings.items() if "_" not in name and name != "trial"}
    assert {name for name, value in choices.items() if value == "none"} == silent


MINI = {
    "pool": "mini", "rater": "simulated_gpt_4o_mini", "embedder": "tfidf_svd", "curation": "rank",
    "selection": "ds2",
    "budget": 0.1, "budget_unit": "samples", "budget_named": "10 %",
    "base_model": "mini", "finetune": "mini", "eval": "mini", "seed": 42, "curation_k": 10,
    "curation_confidence": 0.5, "method": "ds2 (rank)", "finetune_learning_rate": 0.002,
    "finetune_max_steps": 120, "trial": "none",
}  # fmt: skip
UNBUDGETED = dict.fromkeys(("budget", "budget_unit", "budget_named"), "none")
UNTRAINED = dict.fromkeys(("finetune", "finetune_learning_rate", "finetune_max_steps"), "none")
UNRATED = dict.fromkeys(("rater", "embedder", "curation", "curation_k", "curation_confidence"), "none")


@pytest.mark.parametrize(
    ("overrides", "differ"),
    [
        ("", {}),
        ("selection=random", {**UNRATED, "selection": "random", "method": "random"}),
        ("selection=base", {**UNRATED, **UNTRAINED, "selection": "base", "method": "base", **UNBUDGETED}),
        ("selection=full", {**UNRATED, "selection": "full", "method": "full", **UNBUDGETED}),
        (
            "curation=posterior budget.samples=0.25",
            {"curation": "posterior", "method": "ds2 (posterior)", "budget": 0.25, "budget_named": "25 %"},
        ),
        ("until=select", UNTRAINED),
        ("until=curate", {**UNTRAINED, **UNBUDGETED}),
        (
            "until=select finetune=none eval=none tracking.group=x",
            {**UNTRAINED, "eval": "off", "group": "x"},
        ),
    ],
)  # fmt: skip
def test_what_workspaces_filter_by_keeps_its_values(overrides, differ):
    papers = [] if "selection=" in overrides else ["selection=ds2"]
    settings = settings_of(compose(["experiment=mini", *papers, *overrides.split()]))
    assert settings.pop("cell").startswith("pool=mini ")
    assert settings == MINI | differ


def test_runs_of_one_cell_differ_in_their_seed_alone():
    """Of the 135 runs of `robust`, 5 methods under 9 recipes with 3 seeds each."""
    seeds: dict[str, list[int]] = {}
    for overrides in load_sweep("robust").runs():
        settings = settings_of(compose(overrides))
        seeds.setdefault(settings["cell"], []).append(settings["seed"])
    assert len(seeds) == 45
    assert set(map(tuple, seeds.values())) == {(11, 12, 13)}
    assert all("finetune_learning_rate=" in cell and "finetune_max_steps=" in cell for cell in seeds)


@pytest.mark.parametrize("budget", ["budget.samples=500", "budget.tokens=500", "budget.flops=500"])
def test_a_budget_is_told_with_its_unit(budget):
    settings = settings_of(compose(["experiment=mini", "selection=random", budget]))
    unit = {"samples": "samples", "tokens": "tokens", "flops": "FLOPs"}[budget.split(".")[1].split("=")[0]]
    assert (settings["budget"], settings["budget_unit"]) == (500, unit)
    assert settings["budget_named"] == {"samples": "500", "tokens": "500 tokens", "FLOPs": "5e2 FLOPs"}[unit]


@pytest.mark.parametrize(
    ("typed", "same"),
    [
        ("finetune.rank=4", False), ("eval.limit=3", False), ("curation.k=7", False),
        ("seed=7", True), ("finetune.runtime.device_batch=1", True), ("paths.artifacts=/elsewhere", True),
        ("engine.actors=3", True), ("on_warning=fail", True),
    ],
)  # fmt: skip
def test_what_is_typed_beside_the_choices_is_another_cell(typed, same):
    plain, other = (settings_of(compose(["experiment=mini", *more]))["cell"] for more in ([], [typed]))
    assert (plain == other) is same


def test_what_has_no_say_makes_no_other_cell():
    cells = {
        settings_of(compose(["experiment=mini", "selection=random", *more]))["cell"]
        for more in ([], ["rater=simulated_llama_3_1_8b"], ["embedder.dimensions=7"], ["curation=posterior"])
    }
    assert len(cells) == 1


def test_a_pool_drawn_anew_for_each_seed_is_one_cell():
    cells = {
        settings_of(compose(["experiment=mini", "pool=mini_by_seed", f"seed={seed}"]))["cell"]
        for seed in (3, 4)
    }
    assert len(cells) == 1


def test_what_a_search_tries_and_its_trial_are_settings_of_a_run():
    sweep = load_sweep("mini_search")
    chosen = {
        "selection": "ds2_refined",
        "selection.diversity": "long_tail",
        "selection.diversity_weight": 0.1,
    }
    tried = [
        settings_of(compose(sweep.run(
            sweep.search.overrides(chosen | {"embedder.dimensions": width}), [], [f"tracking.trial={number}"]
        )))
        for number, width in enumerate((64, 128))
    ]  # fmt: skip
    assert [told["embedder_dimensions"] for told in tried] == [64, 128]
    assert {told["selection_diversity"] for told in tried} == {"long_tail"}
    assert [told["trial"] for told in tried] == [0, 1]
    assert tried[0]["cell"] != tried[1]["cell"]
    assert "selection_diversity_weight=0.1" in tried[0]["cell"]


def test_a_panel_is_tracked_with_its_raters_order_worth_and_cost(tmp_path):
    run = make_panel_run(tmp_path)
    assert track(run) == []
    logged = inspect(tmp_path / "wandb" / "wandb")["logged"]
    account = panel_facts.panel_account(run)
    assert account is not None
    assert logged["curate/panel.independent_raters"] == pytest.approx(account.independent_raters)
    assert logged["curate/panel.loading.good"] == pytest.approx(account.raters[0].loading)
    assert logged["curate/panel.spare_usd"] == pytest.approx(1.4)
    assert logged["cost/usd"] == pytest.approx(2.8)
    assert logged["rate.good/prompt_tokens"] == 10_000
    for name in ("curate/panel", "curate/panel_raters", "curate/panel_order"):
        assert f"{name}._type" in logged, name
