"""What MLflow is told, read back by its own client from its own database."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.synthetic_run import make_run

from ds2.artifacts.evaluation import Evaluation
from ds2.artifacts.run import RunResult
from ds2.config.run import TrackingService
from ds2.report.tracking import Tracker

mlflow = pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")


def at_mlflow(run: RunResult, **changes: object) -> RunResult:
    tracking = replace(run.config.tracking, service=TrackingService.mlflow, **changes)
    return replace(run, config=replace(run.config, tracking=tracking))


def track(run: RunResult, *, fails: bool = False) -> list[str]:
    said: list[str] = []
    tracker = Tracker.start(run.config, name=run.name, run_id="0123456789abcdef", say=said.append)
    for stage in run.stages.values():
        tracker.log_stage(stage)
    tracker.finish(None if fails else run)
    return said


def test_a_run_is_read_back_with_the_names_that_w_and_b_has(tmp_path):
    run = at_mlflow(make_run(tmp_path))
    assert track(run) == []
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/artifacts/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("ds2")
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.run_name, found.info.status) == (run.name, "FINISHED")
    assert found.data.tags["ds2.fingerprint"] == "0123456789abcdef"
    assert found.data.params["rater"] == "gpt_4o_mini"
    assert found.data.params["budget"] == "60.0" or found.data.params["budget"] == "60"
    evaluation = Evaluation.read(run.stages["evaluate"].path)
    for task, value in evaluation.scores.items():
        assert found.data.metrics[f"eval/{task}"] == pytest.approx(value)
    assert found.data.metrics["eval/average"] == pytest.approx(evaluation.average)
    assert found.data.metrics["rate/wall_seconds"] == pytest.approx(2.1)
    history = client.get_metric_history(found.info.run_id, "finetune/loss")
    assert [point.step for point in history] == list(range(1, 121))
    files = Path(found.info.artifact_uri.removeprefix("file://"))
    assert files.is_relative_to(tmp_path / "artifacts" / "mlflow")
    assert "near-equal optima" in json.dumps(json.loads((files / "summary.json").read_text())["warnings"])
    assert set(json.loads((files / "eval" / "results.json").read_text())) >= {"task", "value", "stderr"}
    assert (files / "curate" / "transition.png").read_bytes()[1:4] == b"PNG"
    assert json.loads((files / "lineage.json").read_text())["subset"]["inputs"]


def test_a_failed_run_is_told_as_one_and_tracked_again_it_is_the_same_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = at_mlflow(make_run(tmp_path / "store", stages=("rate", "curate", "select")))
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/store/artifacts/mlflow/mlflow.db")
    assert track(run, fails=True) == []
    (found,) = client.search_runs([client.get_experiment_by_name("ds2").experiment_id])
    assert found.info.status == "FAILED"
    assert track(run) == []
    (again,) = client.search_runs([client.get_experiment_by_name("ds2").experiment_id])
    assert (again.info.run_id, again.info.status) == (found.info.run_id, "FINISHED")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]  # nothing beside it


def test_a_server_that_is_not_there_is_said_once_and_costs_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    run = at_mlflow(make_run(tmp_path, stages=("rate", "select")), uri="http://127.0.0.1:9")
    (line,) = track(run)
    assert line.startswith("tracking stopped: ")
