"""A launcher's worker that dies or fails: the command says which run it was, in a line, and fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ds2.base.paths import project_root

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
