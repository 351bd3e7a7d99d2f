"""Hydra's launchers as `conf/hydra/launcher/` has them: each really runs a sweep, but Slurm's, whose job
script a stand-in for sbatch keeps.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from ds2.__main__ import main
from ds2.artifacts import adapter
from ds2.base.paths import project_root
from ds2.base.processes import Terminated
from ds2.cli import app
from ds2.config.compose import composed

FOLDER = project_root() / "conf" / "hydra" / "launcher"
MODULES = {
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "ray": "hydra_plugins.hydra_ray_launcher",
    "submitit_local": "hydra_plugins.hydra_submitit_launcher",
}
"""Launcher -> what brings it."""
SWEEP = ("experiment=mini", "until=select", "tracking=none", "runtime.progress=false", "seed=1",
         "budget.samples=10,20")  # fmt: skip


def start(folder: Path, *arguments: str, path: str = os.defpath) -> subprocess.Popen[str]:
    environment = {
        "PYTHONPATH": str(project_root()),
        "PATH": path,
        "HOME": str(folder),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "ds2", "-m", *arguments], cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("launcher", sorted(MODULES))
def test_a_sweep_of_the_miniature_shares_its_stages_under_each_launcher(
    tmp_path: Path, launcher: str
) -> None:
    pytest.importorskip(MODULES[launcher])
    out, err = start(tmp_path, *SWEEP, f"hydra/launcher={launcher}").communicate(timeout=250)
    assert "2 of 2 runs done" in out, err
    assert "ConfigStore" not in err
    count = {stage: len(list((tmp_path / "artifacts" / stage).glob("*/record.json"))) for stage in
             ("rate", "embed", "knn", "curate", "select")}  # fmt: skip
    assert count == {"rate": 1, "embed": 1, "knn": 1, "curate": 1, "select": 2}


@pytest.mark.slow
def test_a_preempted_job_is_requeued_and_goes_on_from_its_checkpoint(
    planted_pool: Path, tmp_path: Path
) -> None:
    """Submitit's local jobs hear the signal that Slurm sends, and are requeued by what started them."""
    pytest.importorskip(MODULES["submitit_local"])
    sweep = start(
        tmp_path, "pool=jsonl", f"pool.path={planted_pool}", "rater=truth", "model=tiny", "finetune=tiny",
        "finetune.max_steps=120", "finetune.runtime.save_every_epoch=true", "eval=none", "until=finetune",
        "selection=random", "budget.samples=32", "seed=1,2", "tracking=none", "hydra/launcher=submitit_local",
    )  # fmt: skip
    deadline = time.monotonic() + 200
    while not list(tmp_path.glob("artifacts/finetune/.*/checkpoints/*/checksums.json")):
        assert sweep.poll() is None, sweep.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    jobs = [each for each in jobs_below(sweep.pid) if "submitit.core._submit" in each.cmdline()]
    assert len(jobs) == 2
    for job in jobs:
        job.send_signal(signal.SIGUSR2)
    out, err = sweep.communicate(timeout=250)
    assert "2 of 2 runs done" in out, err
    assert not any(job.is_running() for job in jobs)
    folders = list(tmp_path.glob("artifacts/finetune/tiny-*"))
    steps = [adapter.read_metrics(folder)["resumed_from_step"] for folder in folders]
    assert len(steps) == 2
    assert 0 < max(steps) < 120


def jobs_below(process: int) -> list[psutil.Process]:
    """Processes that a process started, itself and through others; submitit's leave its session."""
    found = []
    for each in psutil.process_iter():
        with suppress(psutil.Error):
            if process in (parent.pid for parent in each.parents()):
                found.append(each)
    return found


def test_what_a_launcher_makes_of_a_request_to_end_is_that_end(tmp_path, monkeypatch, capsys) -> None:
    def launched(*_: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Terminated:
            raise RuntimeError("the workers are gone") from None

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(app, "_call_hydra", launched)
    monkeypatch.setattr(sys, "argv", ["ds2", "-m", *SWEEP])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 143
    assert "asked to end by SIGTERM" in capsys.readouterr().err


def test_slurm_is_asked_for_an_array_of_jobs_of_one_gpu_that_may_be_requeued(tmp_path: Path) -> None:
    """What sbatch gets: it is a stand-in that keeps the script and refuses."""
    pytest.importorskip(MODULES["submitit_local"])
    for name in ("sbatch", "srun"):
        tool = tmp_path / "bin" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text('#!/bin/sh\ncp "$1" "$HOME/script"\nexit 1\n')
        tool.chmod(0o755)
    out, err = start(
        tmp_path, *SWEEP, "hydra/launcher=submitit_slurm", "hydra.launcher.partition=long",
        path=f"{tmp_path / 'bin'}:{os.defpath}",
    ).communicate(timeout=120)  # fmt: skip
    options = {line.removeprefix("#SBATCH --") for line in (tmp_path / "script").read_text().splitlines()}
    assert options >= {
        "array=0-1%2", "gpus-per-node=1", "requeue", "open-mode=append", "signal=USR2@120", "time=600",
        "partition=long", "nodes=1", "cpus-per-task=8", "mem=64GB", "job-name=ds2",
    }, options  # fmt: skip
    assert not out
    assert "the launcher stopped: FailedJobError" in err


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_launcher_opens_with_its_command_and_composes(path: Path) -> None:
    assert path.read_text().startswith("# ds2 -m ")
    assert f"hydra/launcher={path.stem}" in path.read_text().splitlines()[0]
    composed([f"hydra/launcher={path.stem}"])
