"""The dashboards: built offline, updated and not doubled, and every key that they read is logged by a real
run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("wandb_workspaces", reason="the extra `dashboards` is not installed")

from ds2.base.errors import UserError
from ds2.config.compose import compose
from ds2.config.stages import STAGES
from ds2.runs.chain import Chain
from experiments import dashboard, dashboard_pages

RUN_ATTRIBUTES = {"_step", "createdAt", "displayName"}
"""What W&B itself knows of every run."""


@pytest.fixture(scope="module")
def spec(tmp_path_factory) -> dict[str, dict]:
    """The JSON of `--dry`, for the tiny evaluation and a file that is kept apart."""
    folder, said = tmp_path_factory.mktemp("dry"), []
    dashboard.main(
        [
            "--entity",
            "team",
            "--project",
            "mine",
            "--eval",
            "tiny",
            "--held-out",
            "kept/apart.jsonl",
            "--dry",
            str(folder),
        ],
        said.append,
    )
    assert said == [f"written: {folder / 'workspace.json'}", f"written: {folder / 'report.json'}"]
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in ("workspace", "report")}


@pytest.mark.parametrize("given", [["--dry"], ["--held-out"], ["--dry", "out", "--held-out", "a.jsonl"]])
def test_an_override_is_not_taken_for_a_folder_or_a_file(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^paths\.artifacts=x: the dashboard command takes no key=value"):
        dashboard.main(["--entity", "e", "--project", "p", *given, "paths.artifacts=x"])
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict[str, Any]:
    """What two real offline runs of the tiny chain logged, read back by W&B's own tool: one has what a
    curated selection has, the other sifts, measures, cleans tokens and has a budget beyond its pool.
    Identity, configuration and artifacts are those of the first.
    """
    from helpers.planted import planted_rows

    root = tmp_path_factory.mktemp("tiny")
    (root / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in planted_rows(120, 6)))
    (root / "apart.jsonl").write_text("".join(json.dumps(row) + "\n" for row in planted_rows(6, 2)))
    choices = [
        "pool=jsonl", f"pool.path={root / 'pool.jsonl'}", "rater=from_column", "rater.column=true_score",
        "rater.unit=scores", "rater.flops=1e9", "model=tiny",
        "finetune=tiny", "finetune.max_steps=3", "eval=tiny",
        "tracking=offline", "tracking.group=tiny_table", "runtime.progress=false",
        f"paths.artifacts={root / 'artifacts'}",
    ]  # fmt: skip
    second = [
        "selection=perplexity_low", "pool.near_duplicates=1.0", "budget.tokens=1M",
        "finetune.token_weights=base_difference", f"eval.held_out=[{root / 'apart.jsonl'}]",
        "selection.export=[trl]",
    ]  # fmt: skip
    whole = logged([*choices, "budget.samples=20"], root / "first")
    other = logged([*choices, *second], root / "second")
    assert set(STAGES) == whole["run"].stages.keys() | other["run"].stages.keys()
    return whole | {"metrics": other["metrics"] | whole["metrics"]}


def logged(choices: list[str], folder: Path) -> dict[str, Any]:
    """What a run logs, read back."""
    run = Chain(compose([*choices, f"paths.wandb={folder}"])).run()
    (folder,) = folder.glob("wandb/offline-run-*")
    tool = Path(sys.executable).parent / "wandb"
    out = subprocess.run(
        [tool, "leet", "inspect", "--json", folder], capture_output=True, text=True, check=True
    )
    records = [json.loads(line) for line in out.stdout.splitlines()]
    told: dict[str, Any] = {"run": run, "identity": {}, "config": {}, "metrics": {}, "artifacts": {}}
    for record in records:
        if record["type"] == "run":
            told["identity"] |= record["run"]
            told["config"] |= record["run"].get("config", {}).get("update", {})
        elif record["type"] == "history":
            told["metrics"] |= record["history"]["item"]
        elif record["type"] == "summary":
            told["metrics"] |= record["summary"].get("update", {})
        elif record["type"] == "artifact":
            told["artifacts"][record["artifact"]["name"]] = record["artifact"]
    return told


def panels(spec: Any) -> Iterator[dict[str, Any]]:
    """Every panel of a specification."""
    if isinstance(spec, dict):
        if "viewType" in spec and "config" in spec:
            yield spec
        spec = list(spec.values())
    if isinstance(spec, list):
        for part in spec:
            yield from panels(part)


def keys_read(spec: dict[str, Any]) -> tuple[set[str], set[str]]:
    """(configuration keys, metrics) that panels, groupings and columns of a specification name."""
    config: set[str] = set()
    metrics: set[str] = set()

    def note(key: str) -> None:
        kind, _, name = key.partition(":")
        if kind == "config":
            config.add(name.removesuffix(".value"))
        elif kind == "summary":
            metrics.add(name)
        elif kind != "run":
            metrics.add(key)

    for panel in panels(spec):
        config_of = panel["config"]
        for key in (*config_of.get("metrics", []), *config_of.get("mediaKeys", [])):
            note(key)
        for axis in ("xAxis", "yAxis", "zAxis"):
            if axis in config_of:
                note(config_of[axis])
        for column in config_of.get("columns", []):
            note(column["accessor"])
        if "groupBy" in config_of:
            config.add(config_of["groupBy"].removesuffix(".value"))
        if panel["viewType"] == "Weave":
            metrics.add(table_of(config_of))
    for runs in run_sets(spec):
        config.update(key["name"].removesuffix(".value") for key in runs["grouping"])
        for key in runs.get("runFeed", {}).get("columnPinned", {}):
            note(key)
    return config, metrics - RUN_ATTRIBUTES


def table_of(config: dict[str, Any]) -> str:
    """The table that a query panel picks from the runs' summaries."""
    text = json.dumps(config)
    (name,) = {part for part in dashboard_tables() if json.dumps(part) in text}
    return name


def dashboard_tables() -> set[str]:
    return {"curate/transition_table", "eval/results", "select/sources_table"}


def run_sets(spec: Any) -> Iterator[dict[str, Any]]:
    if isinstance(spec, dict):
        yield from spec.get("runSets", [])
        spec = list(spec.values())
    if isinstance(spec, list):
        for part in spec:
            yield from run_sets(part)


def is_logged(key: str, told: dict[str, Any]) -> bool:
    """MFU is logged where the card is listed; elsewhere the fine-tune says that it is not known."""
    metrics = told["metrics"]
    unknown = key == "finetune/mfu" and told["run"].stages["finetune"].record["counts"]["mfu"] is None
    return unknown or key in metrics or f"{key}._type" in metrics


@pytest.mark.parametrize("name", ["workspace", "report"])
def test_every_key_that_a_panel_reads_is_logged_by_a_real_run(spec, told, name):
    config, metrics = keys_read(spec[name])
    assert {"rater", "selection", "budget", "base_model"} <= config
    assert {"eval/average", "cost/seconds", "finetune/loss", "finetune/step", "curate/transition"} <= metrics
    assert {key for key in config if key not in told["config"]} == set()
    assert {key for key in metrics if not is_logged(key, told)} == set()


def test_panels_show_what_selecting_took_and_how_training_went(spec):
    _, metrics = keys_read(spec["workspace"])
    assert {
        f"{stage}/compute_flops" for stage in ("sift", "rate", "measure", "tokens", "finetune")
    } <= metrics
    assert {f"{stage}/wall_seconds" for stage in STAGES} <= metrics
    assert {
        "finetune/mfu", "finetune/tokens_per_second", "finetune/learning_rate", "cost/selection_flops",
        "select/budget_used",
    } <= metrics  # fmt: skip


def test_a_loss_on_rows_kept_apart_has_a_panel_and_without_its_name_that_is_said(spec):
    bars = {p["config"]["metrics"][0]: p["config"] for p in panels(spec["workspace"])
            if p["viewType"] == "Bar Chart"}  # fmt: skip
    assert bars["eval/apart"]["chartTitle"] == "apart (loss in nats, less is better)"
    with pytest.raises(UserError, match="--held-out FILE"):
        dashboard.tasks_of("held_out")


def test_every_kind_of_panel_is_there(spec):
    for content in spec.values():
        kinds = {panel["viewType"] for panel in panels(content)}
        assert kinds == {
            "Bar Chart", "Scatter Plot", "Parallel Coordinates Plot", "Media Browser",
            "Run History Line Plot", "Weave"
        }  # fmt: skip


def test_bars_have_whiskers_over_seeds(spec):
    bars = [p["config"] for p in panels(spec["workspace"]) if p["viewType"] == "Bar Chart"]
    results = [bar for bar in bars if bar["metrics"][0].startswith("eval/")]
    assert len(results) == 6  # by cell, rater, budget and selection, and two tasks
    assert {(bar["groupAgg"], bar["groupArea"]) for bar in results} == {("mean", "stddev")}
    over_seeds = {bar["metrics"][0] for bar in results if bar["groupBy"] == "cell.value"}
    assert over_seeds == {"eval/average", "eval/mini_familiar", "eval/apart"}
    for runs in run_sets(spec["workspace"]):
        assert "cell" in {key["name"].removesuffix(".value") for key in runs["grouping"]}


def test_the_same_call_gives_the_same_json():
    task = {"a": "a"}
    built = [
        dashboard.specs(dashboard_pages.workspace("e", "p", task), dashboard_pages.report("e", "p", task))
        for _ in range(2)
    ]
    assert built[0] == built[1]


def test_people_can_read_the_run_and_filter_it(told):
    assert told["identity"]["display_name"].startswith("pool-true_score-ds2_refined-20-tiny-s42-")
    assert told["identity"]["run_group"] == "tiny_table"
    expected = {
        "rater": "true_score",
        "selection": "ds2_refined",
        "budget": 20,
        "base_model": "tiny",
        "seed": 42,
    }
    assert {key: told["config"][key] for key in expected} == expected


def test_lineage_leads_from_subset_to_adapter_to_results(told):
    stages = told["run"].stages
    nouns = {"select": "subset", "finetune": "adapter", "evaluate": "results", "curate": "curation"}
    name = {noun: f"{noun}-{stages[stage].fingerprint}" for stage, noun in nouns.items()}
    inputs = {
        noun: json.loads(told["artifacts"][artifact]["metadata"])["inputs"] for noun, artifact in name.items()
    }
    assert inputs["results"]["adapter"] == name["adapter"]
    assert inputs["adapter"]["subset"] == name["subset"]
    assert inputs["subset"]["curation"] == name["curation"]
    assert told["artifacts"][name["adapter"]]["type"] == "adapter"


def test_cost_is_the_time_of_every_stage(told):
    times = [stage.record["wall_seconds"] for stage in told["run"].stages.values()]
    assert told["metrics"]["cost/seconds"] == pytest.approx(sum(times))


class FakeServer:
    """Keeps views as W&B does: an upsert without an id makes a new one."""

    def __init__(self) -> None:
        self.views: dict[str, dict[str, Any]] = {}

    def execute(self, api: Any, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "upsertView" in query:
            key = variables.get("id") or f"id{len(self.views)}"
            self.views[key] = {**variables, "id": key}
            told = {"id": key, "name": variables["name"], "displayName": variables["displayName"]}
            project = {"id": "1", "name": variables["projectName"], "entityName": variables["entityName"]}
            spec = {"view": {**told, "description": "", "project": project, "spec": variables["spec"]}}
            return {"upsertView": {**spec, "inserted": not variables.get("id")}}
        named = [view for view in self.views.values() if view["name"] == variables["viewName"]]
        return {"project": {"allViews": {"edges": [{"node": view} for view in named]}}}


@pytest.fixture
def server(monkeypatch) -> FakeServer:
    import wandb
    from wandb_workspaces.reports.v2 import interface
    from wandb_workspaces.workspaces import internal

    fake = FakeServer()

    class Api:
        def reports(self, path: str) -> list[Any]:
            kept = [view for view in fake.views.values() if view["type"] == "runs"]
            return [type("Report", (), {"id": v["id"], "display_name": v["displayName"]}) for v in kept]

        def projects(self, entity: str) -> list[Any]:
            return [type("Project", (), {"name": "mine"})]

    monkeypatch.setattr(wandb, "Api", Api)
    monkeypatch.setattr(interface, "_get_api", Api)
    for module in (interface, internal):
        monkeypatch.setattr(module, "execute_graphql", fake.execute)
    for module in (interface, __import__("wandb_workspaces.workspaces.interface", fromlist=["x"])):
        monkeypatch.setattr(module, "get_app_url", lambda api: "https://wandb.example")
    return fake


def test_a_second_call_updates_and_makes_nothing_twice(server):
    told: list[list[str]] = []
    for tasks in ("tiny", "mini"):
        said: list[str] = []
        dashboard.main(["--entity", "team", "--project", "mine", "--eval", tasks], said.append)
        told.append([line.split(":")[0] for line in said])
    assert told == [["workspace created", "report created"], ["workspace updated", "report updated"]]
    assert [view["type"] for view in server.views.values()] == ["project-view", "runs"]
    assert all("eval/mini_new" in view["spec"] for view in server.views.values())


def test_a_service_that_refuses_is_one_line(monkeypatch):
    import wandb

    def refuse() -> None:
        raise wandb.errors.UsageError("api_key not configured (no-tty)")

    monkeypatch.setattr(wandb, "Api", refuse)
    with pytest.raises(UserError, match=r"W&B: api_key not configured.*--dry"):
        dashboard.main(["--entity", "team", "--project", "mine"])
