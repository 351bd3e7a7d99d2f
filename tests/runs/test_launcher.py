"""How a leaf is started: here, in a child, under accelerate; and what its exit code becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ds2.base.errors import MissingInput, UserError
from ds2.config import EvalConfig, FinetuneConfig, FinetuneRuntime, RuntimeConfig
from ds2.runs import launcher

CHILD = ["-m", "ds2.runs.child"]


def finetune(folder: Path, **runtime: Any) -> None:
    config = FinetuneConfig(name="f", runtime=FinetuneRuntime(**runtime))
    launcher.finetune(
        base_model="m", base_name=None, base_fingerprint="f", revision=None,
        train_file=folder / "t.jsonl", output_dir=folder, seed=0, config=config, runtime=RuntimeConfig(),
    )  # fmt: skip


def evaluate(folder: Path, isolate: str = "auto") -> None:
    launcher.evaluate(
        base_model="m", revision=None, adapter=None, output_dir=folder, seed=0,
        config=EvalConfig(name="e"), pool_seed=0, runtime=RuntimeConfig(isolate=isolate),
    )  # fmt: skip


@pytest.fixture
def started(monkeypatch):
    """Commands that would have been run; each ends with the exit code in `code`."""
    commands: list[list[str]] = []
    code = [0]

    def start(command, **_):
        commands.append(command[1:-1])
        return type("Started", (), {"wait": lambda self: code[0]})()

    monkeypatch.setattr(launcher.subprocess, "Popen", start)
    monkeypatch.setattr(launcher, "_gpu_count", lambda: 4)
    return commands, code


def test_a_gpu_gets_a_child_and_several_get_accelerate(started, tmp_path):
    commands, _ = started
    finetune(tmp_path, devices=1)
    finetune(tmp_path)
    evaluate(tmp_path)
    assert commands == [
        [*CHILD, "finetune"],
        [*CHILD, "accelerate.commands.launch", *launcher._PLAIN, "--num_processes", "4", *CHILD, "finetune"],
        [*CHILD, "eval"],
    ]


def test_an_accelerate_file_is_handed_on(started, tmp_path):
    commands, _ = started
    file = tmp_path / "fsdp.yaml"
    file.write_text("")
    finetune(tmp_path, accelerate_config=str(file))
    launch = [*CHILD, "accelerate.commands.launch", "--config_file", str(file)]
    assert commands == [[*launch, "--num_processes", "4", *CHILD, "finetune"]]
    with pytest.raises(MissingInput, match="no such file"):
        finetune(tmp_path, accelerate_config=str(tmp_path / "none"))


def test_a_child_s_user_error_stays_one_and_a_crash_does_not(started, tmp_path):
    _, code = started
    code[0] = 2
    with pytest.raises(UserError, match="see the line above"):
        evaluate(tmp_path)
    code[0] = 1
    with pytest.raises(RuntimeError, match="exit code 1"):
        evaluate(tmp_path)
    for code[0] in (-9, 137):
        with pytest.raises(UserError, match="killed by the system"):
            evaluate(tmp_path)


def test_a_cpu_runs_as_many_processes_as_are_asked_for(started, tmp_path, monkeypatch):
    monkeypatch.setattr(launcher, "_gpu_count", lambda: 0)
    commands, _ = started
    finetune(tmp_path, devices=2)
    assert commands[0][-5:] == ["--num_processes", "2", *CHILD, "finetune"]


def test_an_unknown_isolation_is_refused(started, tmp_path):
    with pytest.raises(UserError, match="none of auto, true, false"):
        evaluate(tmp_path, "maybe")
