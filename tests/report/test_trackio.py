"""What trackio is told, read back by its own command from its own files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from helpers.synthetic_run import CHAIN, make_run

from ds2.artifacts.evaluation import Evaluation
from ds2.artifacts.run import RunResult
from ds2.config.run import TrackingService
from ds2.report.tracking import Tracker

pytestmark = pytest.mark.skipif(find_spec("trackio") is None, reason="trackio is not installed")


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> Path:
    """One for all: a process has one folder of trackio's."""
    return tmp_path_factory.mktemp("trackio")


@pytest.fixture
def at_trackio(store, monkeypatch):
    monkeypatch.delenv("TRACKIO_DIR", raising=False)

    def make(folder: Path = store, stages: tuple[str, ...] = ("rate", "select"), **changes: Any) -> RunResult:
        run = make_run(folder, stages=stages)
        tracking = replace(run.config.tracking, service=TrackingService.trackio, **changes)
        return replace(run, config=replace(run.config, tracking=tracking))

    return make


def track(run: RunResult, *, fails: bool = False) -> list[str]:
    said: list[str] = []
    tracker = Tracker.start(run.config, name=run.name, run_id="0123456789abcdef", say=said.append)
    for stage in run.stages.values():
        tracker.log_stage(stage)
    tracker.finish(None if fails else run)
    return said


def ask(store: Path, *words: str) -> Any:
    """What trackio's own command says."""
    command = [sys.executable, "-c", "from trackio.cli import main; main()", *words, "--json"]
    environment = os.environ | {"TRACKIO_DIR": str(store / "artifacts" / "trackio")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=100)
    return json.loads(done.stdout)


def test_a_run_is_read_back_with_the_names_that_w_and_b_has(at_trackio, store, capsys):
    run = at_trackio(stages=CHAIN, project="readback")
    assert track(run) == []
    assert capsys.readouterr() == ("", "")
    about = ask(store, "get", "run", "--project", "readback", "--run", run.name)
    evaluation = Evaluation.read(run.stages["evaluate"].path)
    tasks = {f"eval/{task}" for task in evaluation.scores}
    assert set(about["metrics"]) >= tasks | {"eval/average", "rate/wall_seconds", "cost/seconds"}
    assert about["config"]["rater"] == "gpt_4o_mini"
    assert about["config"]["fingerprint"] == "0123456789abcdef"
    assert about["config"]["run"]["seed"] == run.config.seed
    values = value_of(store, "readback", run, "eval/average")
    assert values == [(0, pytest.approx(evaluation.average))]
    assert [at for at, _ in value_of(store, "readback", run, "finetune/loss")] == list(range(1, 121))
    named = ("--project", "readback", "--run", run.name)
    (page,) = ask(store, "get", "report", *named, "--report", "summary")["values"]
    assert "near-equal optima" in json.dumps(page)
    folder = store / "artifacts" / "trackio"
    assert {path.name for path in store.iterdir()} == {"artifacts", "pool.jsonl"}  # nothing beside it
    assert any(folder.rglob("*.png"))


def value_of(store: Path, project: str, run: RunResult, metric: str) -> list[tuple[int, float]]:
    said = ask(store, "get", "metric", "--project", project, "--run", run.name, "--metric", metric)
    return [(each["step"], each["value"]) for each in said["values"]]


def test_a_failed_run_is_told_as_one_and_tracked_again_it_takes_its_place(at_trackio, store):
    run = at_trackio(project="again")
    assert track(run, fails=True) == []
    alerts = ask(store, "get", "alerts", "--project", "again")["alerts"]
    assert [each["title"] for each in alerts] == ["The run failed"]
    assert track(run) == []
    assert len(ask(store, "list", "runs", "--project", "again")["runs"]) == 1
    assert len(value_of(store, "again", run, "cost/seconds")) == 1


def test_the_caller_s_own_run_stays_open(at_trackio, store):
    assert track(at_trackio(project="guest")) == []
    import trackio

    mine = trackio.init(project="mine", embed=False)
    assert track(at_trackio(project="guest")) == []
    trackio.log({"loss": 1.0})
    trackio.finish()
    assert ask(store, "get", "run", "--project", "mine", "--run", mine.name)["num_logs"] == 1


def test_what_cannot_be_kept_is_said_once_and_costs_nothing(at_trackio, store, tmp_path):
    assert track(at_trackio(project="kept")) == []
    (line,) = track(at_trackio(folder=tmp_path))
    assert line.startswith("tracking stopped: UserError: trackio was loaded for ")
    (line,) = track(at_trackio(uri="http://127.0.0.1:9"))
    assert line.startswith("tracking stopped: ValueError: Self-hosted logging requires a write token")
