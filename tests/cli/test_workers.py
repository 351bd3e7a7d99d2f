"""A launcher's worker that dies or fails: the command says which run it was, in a line, and fails."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ds2.base.paths import project_root
from ds2.cli.main import run
from ds2.runs import job_files

PLUGIN = """
import os, signal
from dataclasses import dataclass
from ds2.config import EmbedderConfig, register

@register("embedder", "killer")
@dataclass
class KillerConfig(EmbedderConfig):
    how: str = "kill"
    implementation = "killers:embed"

def embed(config, pool):
    if config.how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError("broken embedder")
"""


MODULES = {
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "submitit_local": "hydra_plugins.hydra_submitit_launcher",
    "ray": "hydra_plugins.hydra_ray_launcher",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    choices = tmp_path / "killers" / "conf" / "embedder"
    choices.mkdir(parents=True)
    (tmp_path / "killers" / "__init__.py").write_text(PLUGIN)
    (choices / "killer.yaml").write_text("# Dies.\ndefaults: [killer_schema, _self_]\nname: killer\n")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "ray"])
@pytest.mark.parametrize(("how", "said"), [("kill", "its process died"), ("raise", "broken embedder")])
def test_a_worker_that_ends_badly_is_a_line_of_its_run_and_the_command_fails(folder, launcher, how, said):
    pytest.importorskip(MODULES[launcher])
    arguments = [
        "-m", "plugins=[killers]", f"hydra/launcher={launcher}", "embedder=killer", f"embedder.how={how}",
        "pool.samples=60,61", "until=embed", "tracking=none",
    ]  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", "ds2", *arguments], cwd=folder, capture_output=True, text=True, timeout=200,
        env={"PYTHONPATH": str(project_root()), "PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )  # fmt: skip
    assert ended.returncode == 1
    assert "0 of 2 runs done" in ended.stdout
    assert said in ended.stderr.splitlines()[-1]
    assert "plugins=[killers]" in ended.stdout or "pool.samples=60" in ended.stdout
    if how == "kill":
        assert "the launcher stopped: " in ended.stderr
        assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_workers_of_a_command_that_is_asked_to_end_write_their_checkpoints(tmp_path):
    pytest.importorskip(MODULES["joblib"])
    arguments = [
        "-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=1,2", "pool=mini", "pool.samples=60",
        "selection=random", "budget.samples=10", "model=tiny", "finetune=tiny", "finetune.max_steps=20000",
        "finetune.runtime.save_every_epoch=false", "eval=none", "until=finetune", "tracking=none",
    ]  # fmt: skip
    command = subprocess.Popen(
        [sys.executable, "-m", "ds2", *arguments], cwd=tmp_path, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(project_root())},
    )  # fmt: skip
    trainings = tmp_path / "artifacts" / "finetune"
    deadline = time.monotonic() + 200
    while len(list(trainings.glob("*/checkpoints/identity"))) < 2:
        assert command.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(20)  # the model is loaded, steps are done
    command.terminate()
    said = command.communicate(timeout=60)[1]
    assert command.returncode == 143
    assert "resource_tracker" not in said
    kept = list(trainings.glob("*/checkpoints/checkpoint-*/checksums.json"))
    assert len({path.parents[2] for path in kept}) == 2
    reasons = job_files.ledger(tmp_path / "artifacts").failures.values()
    assert list(reasons) == ["asked to end by SIGTERM"] * 2


def test_no_processes_at_all_are_refused_in_one_line(tmp_path, capsys, monkeypatch):
    pytest.importorskip(MODULES["joblib"])
    monkeypatch.chdir(tmp_path)
    several = ["-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=0", "pool.samples=60,61", "until=rate"]
    assert run([*several, "tracking=none"]) == 2
    assert "error hydra.launcher.n_jobs=0 are no processes: give 1" in capsys.readouterr().err


def test_a_worker_that_has_had_no_job_yet_ends_with_its_command(tmp_path):
    """Killed as soon as it has started workers, which then wait for a first job that never comes."""
    psutil = pytest.importorskip("psutil")
    pytest.importorskip(MODULES["joblib"])
    arguments = [
        "-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=1,2", "pool=mini", "pool.samples=60",
        "until=rate", "tracking=none",
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(project_root())}
    command = subprocess.Popen(
        [sys.executable, "-m", "ds2", *arguments], cwd=tmp_path, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        workers: list[psutil.Process] = []
        deadline = time.monotonic() + 60
        while not workers and time.monotonic() < deadline and command.poll() is None:
            children = psutil.Process(command.pid).children()
            workers = [child for child in children if any("popen_loky" in word for word in child.cmdline())]
            time.sleep(0.005)
        assert workers
    finally:
        command.kill()
        command.wait()
    _, left = psutil.wait_procs(workers, timeout=30)
    for worker in left:
        worker.kill()
    assert not left
