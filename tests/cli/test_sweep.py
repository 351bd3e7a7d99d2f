"""`ds2 sweep=` and `ds2 -m` under each launcher: a distinct stage once, one failure alone, only it again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from ds2.cli import main as cli

ROOT = Path(__file__).parents[2]
STAGES = ("rate", "embed", "knn", "curate", "select")
LAUNCHERS = {
    "basic": [],
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=4"],
    "submitit": ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"],
}
GRID = {"rater": ["simulated_gpt_4o_mini", "simulated_mistral_7b"], "budget.samples": [10, 20, 30],
        "selection": ["ds2", "ds2_posterior"]}  # fmt: skip
COUNTS = {"rate": 2, "embed": 1, "knn": 1, "curate": 4, "select": 12}


@pytest.fixture
def arguments(planted_pool: Path, monkeypatch) -> list[str]:
    monkeypatch.chdir(planted_pool.parent)
    return ["pool=jsonl", f"pool.path={planted_pool}", "until=select", "finetune=none", "eval=none",
            "model=tiny", "tracking=none", "runtime.progress=false"]  # fmt: skip


def ds2(*arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "ds2", *arguments], capture_output=True, text=True, env=env, check=False
    )


def artifacts() -> dict[str, int]:
    return {stage: len(list(Path("artifacts", stage).glob("*/record.json"))) for stage in STAGES}


def computations(text: str) -> Counter[str]:
    """Stages that some job says it computed."""
    return Counter(line.split()[0] for line in text.splitlines() if line.split()[1:2] == ["computed"])


@pytest.fixture
def sweep_folder(tmp_path, monkeypatch):
    """Makes `sweep=small`."""

    def make(yaml: str) -> None:
        (tmp_path / "conf" / "sweep").mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / "sweep" / "small.yaml").write_text(yaml)
        monkeypatch.setattr("ds2.config.sweep.conf_folders", lambda: {"ds2": tmp_path / "conf"})

    return make


def test_twelve_runs_on_four_workers_compute_each_distinct_stage_once(arguments):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    swept = [f"{key}={','.join(map(str, values))}" for key, values in GRID.items()]
    run = ds2("-m", *arguments, *swept, *LAUNCHERS["joblib"])
    assert run.returncode == 0, run.stderr
    assert "12 of 12 runs done" in run.stdout
    assert computations(run.stdout) == {**COUNTS, "report": 12}
    assert artifacts() == COUNTS


@pytest.mark.parametrize(
    "launcher", ["basic", *(pytest.param(name, marks=pytest.mark.slow) for name in ("joblib", "submitit"))]
)
def test_a_failing_run_is_named_does_not_stop_the_others_and_is_the_only_one_run_again(
    launcher, arguments, sweep_folder, capfd
):
    sweep_folder("grids:\n  - budget.samples: [10, 9999, 30]\n")
    command = ["sweep=small", *arguments, *LAUNCHERS[launcher]]
    assert cli.run(command) == 1
    out = capfd.readouterr()
    assert "2 of 3 runs done" in out.out
    assert "budget.samples=9999" in out.err
    assert "more than the pool's 240 samples" in out.err
    assert artifacts()["select"] == 2
    before = {path: path.stat().st_mtime_ns for path in Path("artifacts").rglob("record.json")}
    assert cli.run(command) != 0
    out = capfd.readouterr()
    assert "2 of 3 runs need nothing" in out.out
    assert "more than the pool's 240 samples" in out.err
    assert before == {path: path.stat().st_mtime_ns for path in Path("artifacts").rglob("record.json")}


@pytest.mark.slow
def test_submitit_s_processes_leave_their_records(arguments):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    run = ds2("-m", *arguments, "budget.samples=10,9999", *LAUNCHERS["submitit"])
    assert run.returncode == 1
    assert "1 of 2 runs done" in run.stdout
    assert "more than the pool's 240 samples" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_cached_sweep_starts_no_run_at_all(arguments, sweep_folder, capfd):
    sweep_folder("grids:\n  - budget.samples: [10, 20]\n")
    assert cli.run(["sweep=small", *arguments]) == 0
    capfd.readouterr()
    assert cli.run(["sweep=small", *arguments]) == 0
    out = capfd.readouterr().out
    assert "2 of 2 runs need nothing" in out
    assert not computations(out)


def test_a_sweep_can_be_planned(arguments, sweep_folder, capfd):
    sweep_folder("grids:\n  - budget.samples: [10, 20]\n")
    assert cli.run(["sweep=small", *arguments, "plan=true"]) == 0
    assert capfd.readouterr().out.count("compute") == 10
    assert artifacts() == dict.fromkeys(STAGES, 0)


def test_a_plan_says_each_different_line_once_and_for_how_many_runs(arguments, sweep_folder, capfd):
    sweep_folder("grids:\n  - budget.samples: [10, 999]\n    knn.k: [12, 13]\n")
    assert cli.run(["sweep=small", *arguments, "plan=true"]) == 1
    said = capfd.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith("error 2 of 4 runs: budget.samples=999 is more than the pool's")
    assert "4 runs planned, 2 cannot run as they are" in said.out


def test_choices_of_a_folder_of_one_s_own_are_known_to_a_sweep(arguments, sweep_folder, tmp_path, capfd):
    sweep_folder("grids:\n  - selection: [random]\n")
    (tmp_path / "own" / "budget").mkdir(parents=True)
    (tmp_path / "own" / "budget" / "mine.yaml").write_text("samples: 7\n")
    assert cli.run(["sweep=small", *arguments, "budget=mine", "--config-dir", "own"]) == 0
    assert "selected 7" in capfd.readouterr().out


def test_a_sweep_of_a_folder_of_one_s_own_may_choose_the_pool_itself(arguments, tmp_path, capfd):
    (tmp_path / "own" / "sweep").mkdir(parents=True)
    (tmp_path / "own" / "sweep" / "mine.yaml").write_text(
        "grids:\n  - pool: [jsonl]\n    selection: [random]\n    budget.samples: [7, 7]\n"
    )
    assert arguments[0] == "pool=jsonl"
    command = ["sweep=mine", *arguments[1:], "rater=truth", "--config-dir", "own", "plan=true"]
    assert cli.run(command) == 0
    assert "1 run planned" in capfd.readouterr().out
    assert cli.run(["sweep=mine", *arguments[1:]]) == 2
    assert "sweep=mine is unknown" in capfd.readouterr().err


def test_cells_that_fall_together_are_one_run(arguments, sweep_folder, capfd):
    sweep_folder("grids:\n  - rater: [truth, simulated_mistral_7b]\n  - selection: [length]\n")
    assert cli.run(["sweep=small", *arguments, "selection=random", "budget.samples=9"]) == 0
    out = capfd.readouterr().out
    assert computations(out) == {"select": 1, "report": 1}
    assert "1 run: 1 done" in out


def test_a_sweep_of_the_miniature_takes_a_pool_of_one_s_own(arguments, sweep_folder, capfd):
    sweep_folder("overrides: [experiment=mini]\ngrids:\n  - selection: [random]\n")
    assert cli.run(["sweep=small", *arguments, "budget.samples=9"]) == 0
