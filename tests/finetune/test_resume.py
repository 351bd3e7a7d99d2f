from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from helpers import trainings
from safetensors.torch import load_file, save_file

from ds2.artifacts.training import read_curve
from ds2.base.paths import project_root
from finetune import checkpoints
from finetune.spec import FinetuneSpec
from finetune.train import train

MakeSpec = Callable[..., FinetuneSpec]


def weights(spec: FinetuneSpec) -> dict[str, torch.Tensor]:
    return load_file(Path(spec.output_dir) / "adapter" / "adapter_model.safetensors")


def end_at_checkpoint(spec: FinetuneSpec, step: int, number: int = signal.SIGKILL) -> int:
    """Train in a process of its own, and send it a signal when the checkpoint of a step is complete; its exit
    code.
    """
    environment = {**os.environ, "PYTHONPATH": str(project_root())}
    return trainings.end_at_checkpoint(spec, step, number, ["-m", "finetune"], environment)


def test_a_killed_training_continues_to_the_weights_of_an_uninterrupted_one(make_spec: MakeSpec) -> None:
    changes = {"epochs": 20, "dropout": 0.1, "device_batch": 4, "threads": 1}
    killed, whole = make_spec(output="killed", **changes), make_spec(output="whole", **changes)
    end_at_checkpoint(killed, step=4)
    assert not (Path(killed.output_dir) / "metrics.json").exists()
    metrics = train(killed)
    train(whole)
    assert 4 <= metrics["resumed_from_step"] < 40
    for name, tensor in weights(whole).items():
        torch.testing.assert_close(weights(killed)[name], tensor, rtol=0, atol=0)
    columns = ["step", "epoch", "loss", "learning_rate"]
    curves = [read_curve(Path(spec.output_dir))[columns] for spec in (killed, whole)]
    pd.testing.assert_frame_equal(*curves)
    left = sorted(path.name for path in checkpoints.checkpoint_dir(killed).iterdir())
    assert left == ["finished.json", "identity"]


@pytest.fixture
def interrupted(make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch) -> FinetuneSpec:
    """A run that stopped after its second epoch (step 4 of 6), with a third checkpoint cut off while being
    written.
    """
    from finetune.callbacks import CheckpointKeeper

    spec = make_spec(epochs=3)
    seal = CheckpointKeeper.on_save

    def seal_then_stop(self: Any, args: Any, state: Any, control: Any, **others: Any) -> None:
        seal(self, args, state, control, **others)
        if state.global_step == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointKeeper, "on_save", seal_then_stop)
        with pytest.raises(KeyboardInterrupt):
            train(spec)
    cut_off = checkpoints.checkpoint_dir(spec) / "checkpoint-6"
    cut_off.mkdir()
    (cut_off / checkpoints.CHECKSUMS).write_text('{"trainer_state.json": ')
    return spec


def test_a_run_that_has_ended_is_not_begun_again(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finetune import base

    spec = make_spec(epochs=3)
    metrics = train(spec)
    with monkeypatch.context() as patch:
        patch.setattr(base, "load_base", lambda *_: pytest.fail("began again"))
        assert train(spec) == metrics
    file = Path(spec.output_dir) / "adapter" / "adapter_model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    train(spec)
    assert file.read_bytes() == whole
    train(replace(spec, config=replace(spec.config, merge=True)))
    assert (Path(spec.output_dir) / "merged").is_dir()


def test_a_checkpoint_that_was_cut_off_is_passed_over(interrupted: FinetuneSpec) -> None:
    assert train(interrupted)["resumed_from_step"] == 4


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "optimizer.pt", "rng_state.pth"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_and_named(
    interrupted: FinetuneSpec, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = checkpoints.checkpoint_dir(interrupted) / "checkpoint-4" / file
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    assert train(interrupted)["resumed_from_step"] == 2
    said = capsys.readouterr().err
    assert "was cut off or is damaged: going on from step 2" in said
    assert "4" in said.partition("the checkpoint of step ")[2].partition(" was")[0].split(", ")


def test_a_run_that_is_asked_to_end_keeps_a_checkpoint_and_continues_to_the_same_weights(
    make_spec: MakeSpec,
) -> None:
    changes = {"epochs": 20, "dropout": 0.1, "device_batch": 4, "threads": 1}
    asked, whole = make_spec(output="asked", **changes), make_spec(output="whole", **changes)
    assert end_at_checkpoint(asked, step=4, number=signal.SIGTERM) == 143
    kept = checkpoints.latest(checkpoints.checkpoint_dir(asked))
    assert kept is not None
    assert train(asked)["resumed_from_step"] == checkpoints.step_of(kept)
    train(whole)
    for name, tensor in weights(whole).items():
        torch.testing.assert_close(weights(asked)[name], tensor, rtol=0, atol=0)


def test_checkpoints_are_kept_by_the_clock_within_an_epoch(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step is later than the clock allows; an epoch has two."""
    from transformers import Trainer

    spec = make_spec(output="timed", epochs=3, save_every_epoch=False, save_minutes=0.0)
    whole = make_spec(output="whole", epochs=3)
    save = Trainer._save_checkpoint

    def save_then_stop(self: Trainer, *arguments: object) -> None:
        if self.state.global_step == 4:
            raise KeyboardInterrupt
        save(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_save_checkpoint", save_then_stop)
        with pytest.raises(KeyboardInterrupt):
            train(spec)
    assert train(spec)["resumed_from_step"] == 3
    train(whole)
    for name, tensor in weights(whole).items():
        torch.testing.assert_close(weights(spec)[name], tensor, rtol=0, atol=0)


def test_checkpoints_of_other_settings_are_not_continued(interrupted: FinetuneSpec) -> None:
    interrupted.config.learning_rate *= 2
    assert train(interrupted)["resumed_from_step"] == 0


def test_the_checkpoints_of_a_store_that_was_moved_are_continued(
    interrupted: FinetuneSpec, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(interrupted.base_model, moved / "base")
    Path(interrupted.output_dir).rename(moved / "out")
    spec = replace(interrupted, base_model=str(moved / "base"), output_dir=str(moved / "out"))
    assert train(spec)["resumed_from_step"] == 4


def test_checkpoints_of_another_base_model_are_discarded_and_that_is_said(
    interrupted: FinetuneSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of one shape, with other weights, at the same place: what a folder holds tells it, and not its name."""
    other = shutil.copytree(interrupted.base_model, tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    save_file(
        {name: 2 * value for name, value in weights.items()}, other / "model.safetensors", {"format": "pt"}
    )
    assert train(replace(interrupted, base_model=str(other)))["resumed_from_step"] == 0
    assert "discarded: they are of another training" in capsys.readouterr().err


def test_what_a_run_knows_of_its_base_model_stands_for_its_content(interrupted: FinetuneSpec) -> None:
    told = replace(interrupted, base_fingerprint="0123456789abcdef")
    assert checkpoints.training_identity(told) != checkpoints.training_identity(interrupted)
    assert checkpoints.training_identity(told) == checkpoints.training_identity(
        replace(told, base_model="/elsewhere")
    )


def test_another_device_batch_continues_the_same_run(interrupted: FinetuneSpec) -> None:
    interrupted.config.runtime.device_batch = 2
    assert train(interrupted)["resumed_from_step"] == 4
