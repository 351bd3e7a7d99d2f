from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from ds2.artifacts.training import read_curve
from ds2.base.paths import project_root
from finetune import checkpoints
from finetune.spec import FinetuneSpec, write_spec
from finetune.train import train

MakeSpec = Callable[..., FinetuneSpec]


def weights(spec: FinetuneSpec) -> dict[str, torch.Tensor]:
    return load_file(Path(spec.output_dir) / "adapter" / "adapter_model.safetensors")


def kill_at_checkpoint(spec: FinetuneSpec, step: int) -> None:
    """Train in a process of its own, and kill -9 it when the checkpoint of a step is complete."""
    spec_file = Path(spec.output_dir).with_suffix(".json")
    write_spec(spec, spec_file)
    environment = {**os.environ, "PYTHONPATH": str(project_root())}
    child = subprocess.Popen([sys.executable, "-m", "finetune", str(spec_file)], env=environment)
    try:
        deadline = time.monotonic() + 120
        while not (checkpoints.checkpoint_dir(spec) / f"checkpoint-{step}" / checkpoints.STATE).exists():
            assert child.poll() is None, "the training ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()


def test_a_killed_training_continues_to_the_weights_of_an_uninterrupted_one(make_spec: MakeSpec) -> None:
    changes = {"epochs": 20, "dropout": 0.1, "device_batch": 4, "threads": 1}
    killed, whole = make_spec(output="killed", **changes), make_spec(output="whole", **changes)
    kill_at_checkpoint(killed, step=4)
    assert not (Path(killed.output_dir) / "metrics.json").exists()
    metrics = train(killed)
    train(whole)
    assert 4 <= metrics["resumed_from_step"] < 40
    for name, tensor in weights(whole).items():
        torch.testing.assert_close(weights(killed)[name], tensor, rtol=0, atol=0)
    columns = ["step", "epoch", "loss", "learning_rate"]
    curves = [read_curve(Path(spec.output_dir))[columns] for spec in (killed, whole)]
    pd.testing.assert_frame_equal(*curves)
    assert not checkpoints.checkpoint_dir(killed).exists()


@pytest.fixture
def interrupted(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> FinetuneSpec:
    """A run that stopped after its second epoch (step 4 of 6), with a third checkpoint cut off while being
    written.
    """
    from transformers import Trainer

    spec = make_spec(epochs=3)
    save = Trainer._save_checkpoint

    def save_then_stop(self: Trainer, *arguments: object) -> None:
        save(self, *arguments)
        if self.state.global_step == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_save_checkpoint", save_then_stop)
        with pytest.raises(KeyboardInterrupt):
            train(spec)
    cut_off = checkpoints.checkpoint_dir(spec) / "checkpoint-6"
    cut_off.mkdir()
    (cut_off / checkpoints.STATE).write_text('{"global_step": ')
    return spec


def test_a_checkpoint_that_was_cut_off_is_passed_over(interrupted: FinetuneSpec) -> None:
    assert train(interrupted)["resumed_from_step"] == 4


def test_checkpoints_of_other_settings_are_not_continued(interrupted: FinetuneSpec) -> None:
    interrupted.config.learning_rate *= 2
    assert train(interrupted)["resumed_from_step"] == 0


def test_another_device_batch_continues_the_same_run(interrupted: FinetuneSpec) -> None:
    interrupted.config.runtime.device_batch = 2
    assert train(interrupted)["resumed_from_step"] == 4
