"""How a leaf is started: here, in a child, under accelerate; and what its exit code becomes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ds2 import launcher
from ds2.config import RuntimeConfig
from ds2.errors import MissingInput, UserError


@dataclass
class Spec:
    output_dir: str = "out"


@pytest.fixture
def started(monkeypatch):
    """Commands that would have been run; each ends with the exit code in `code`."""
    commands: list[list[str]] = []
    code = [0]

    def run(command, **_):
        commands.append(command[1:-1])
        return type("Done", (), {"returncode": code[0]})()

    monkeypatch.setattr(launcher.subprocess, "run", run)
    monkeypatch.setattr(launcher, "_gpu_count", lambda: 4)
    return commands, code


def test_a_gpu_gets_a_child_and_several_get_accelerate(started):
    commands, _ = started
    launcher.finetune(Spec(), RuntimeConfig(), devices=1)
    launcher.finetune(Spec(), RuntimeConfig(), devices=None)
    launcher.evaluate(Spec(), RuntimeConfig())
    assert commands == [
        ["-m", "finetune"],
        ["-m", "accelerate.commands.launch", "--num_processes", "4", "-m", "finetune"],
        ["-m", "eval"],
    ]


def test_an_accelerate_file_is_handed_on(started, tmp_path):
    commands, _ = started
    file = tmp_path / "fsdp.yaml"
    file.write_text("")
    launcher.finetune(Spec(), RuntimeConfig(), devices=None, accelerate_config=str(file))
    launch = ["-m", "accelerate.commands.launch", "--config_file", str(file)]
    assert commands == [[*launch, "--num_processes", "4", "-m", "finetune"]]
    with pytest.raises(MissingInput, match="no such file"):
        launcher.finetune(Spec(), RuntimeConfig(), devices=None, accelerate_config=str(tmp_path / "none"))


def test_a_child_s_user_error_stays_one_and_a_crash_does_not(started):
    _, code = started
    code[0] = 2
    with pytest.raises(UserError, match="see the line above"):
        launcher.evaluate(Spec(), RuntimeConfig())
    code[0] = 1
    with pytest.raises(RuntimeError, match="exit code 1"):
        launcher.evaluate(Spec(), RuntimeConfig())


def test_an_unknown_isolation_is_refused(started):
    with pytest.raises(UserError, match="none of auto, true, false"):
        launcher.evaluate(Spec(), RuntimeConfig(isolate="maybe"))
