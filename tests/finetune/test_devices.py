"""Several devices: processes of this CPU, which talk by gloo, learn what one process learns."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from helpers import trainings
from safetensors.torch import load_file

from ds2.artifacts import adapter
from ds2.base.errors import UserError
from ds2.base.paths import project_root
from ds2.config import FinetuneConfig, RuntimeConfig
from ds2.runs import launcher
from finetune import checkpoints
from finetune.spec import FinetuneSpec
from finetune.train import train

MakeSpec = Callable[..., FinetuneSpec]
CONFIGS = {path.stem: path for path in (project_root() / "conf" / "finetune" / "accelerate").glob("*.yaml")}
PARALLEL = {"plain": "MULTI_CPU", "fsdp": "FSDP", "deepspeed_zero3": "DEEPSPEED"}
"""Kind of parallelism, as accelerate calls it, of the config file of that name; `plain`: of none."""
SHARED_OUT = [name for name in PARALLEL if name != "plain"]
TOLERANCE = 1e-4
MARK = "DS2_TEST_TRAINING"
"""Variable by which the processes of a training are known."""


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")
    monkeypatch.setattr(launcher, "_gpu_count", lambda: 0)


def on_two(spec: FinetuneSpec, name: str) -> FinetuneSpec:
    """The spec for two processes."""
    if name == "deepspeed_zero3" and find_spec("deepspeed") is None:
        pytest.skip("deepspeed is not installed: pip install deepspeed")
    spec.config.runtime.devices = 2
    spec.config.runtime.accelerate_config = None if name == "plain" else str(CONFIGS[name])
    return spec


def launch(spec: FinetuneSpec) -> None:
    """Fine-tune as the chain does."""
    launcher.finetune(
        base_model=spec.base_model, base_name=None, base_fingerprint="tiny", revision=None,
        train_file=Path(spec.train_file), output_dir=Path(spec.output_dir), seed=spec.seed,
        config=spec.config, runtime=RuntimeConfig(progress=False),
    )  # fmt: skip


def end_at_checkpoint(spec: FinetuneSpec, step: int, number: int) -> None:
    """Fine-tune in a process of its own, sent a signal when the checkpoint of a step is complete, and wait
    until the processes that it started have ended too.
    """
    script = (
        "import sys; from pathlib import Path; from ds2.base.processes import terminable\n"
        "from ds2.config import RuntimeConfig; from ds2.runs import launcher\n"
        "from finetune.spec import read_spec\n"
        "launcher._gpu_count = lambda: 0; spec = read_spec(sys.argv[1])\n"
        "with terminable():\n"
        "    launcher.finetune(base_model=spec.base_model, base_name=None, revision=None,\n"
        "        train_file=Path(spec.train_file), output_dir=Path(spec.output_dir), seed=spec.seed,\n"
        "        config=spec.config, runtime=RuntimeConfig(progress=False))\n"
    )
    path = os.pathsep.join([str(project_root()), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, MARK: spec.output_dir}
    trainings.end_at_checkpoint(spec, step, number, ["-c", script], environment)
    deadline = time.monotonic() + 60
    while _trainers(spec):
        assert time.monotonic() < deadline, "a trainer outlives the command"
        time.sleep(0.1)


def _trainers(spec: FinetuneSpec) -> list[int]:
    """Processes that `end_at_checkpoint` started, itself and through others."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == spec.output_dir and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def weights(spec: FinetuneSpec) -> dict[str, torch.Tensor]:
    return load_file(adapter.weights(Path(spec.output_dir)) / "adapter_model.safetensors")


def curve(spec: FinetuneSpec) -> pd.DataFrame:
    found = adapter.read_curve(Path(spec.output_dir))
    assert found is not None
    return found[["step", "epoch", "loss", "learning_rate"]]


def assert_same_training(found: FinetuneSpec, whole: FinetuneSpec) -> None:
    np.testing.assert_allclose(curve(found), curve(whole), rtol=0, atol=TOLERANCE)
    tensors = weights(whole)
    assert weights(found).keys() == tensors.keys()
    for name, tensor in tensors.items():
        torch.testing.assert_close(weights(found)[name], tensor, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    "name", ["plain", *(pytest.param(each, marks=pytest.mark.slow) for each in SHARED_OUT)]
)
def test_two_processes_learn_what_one_learns(make_spec: MakeSpec, name: str) -> None:
    one, two = (make_spec(output=output, device_batch=2, threads=1) for output in ("one", "two"))
    train(one)
    launch(on_two(two, name))
    metrics = adapter.read_metrics(Path(two.output_dir))
    assert (metrics["devices"], metrics["device_batch"], metrics["accumulation"]) == (2, 2, 2)
    assert metrics["parallelism"] == PARALLEL[name]
    assert_same_training(two, one)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHARED_OUT)
def test_what_shared_out_weights_leave_is_whole(make_spec: MakeSpec, name: str) -> None:
    """PEFT loads the adapter; the merged model has every weight, and answers as base and adapter do."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    spec = on_two(make_spec(output="merged", merge=True, threads=1), name)
    launch(spec)
    base = AutoModelForCausalLM.from_pretrained(spec.base_model)
    sizes = {key: tensor.shape for key, tensor in base.state_dict().items()}
    tuned = PeftModel.from_pretrained(base, adapter.weights(Path(spec.output_dir))).eval()
    merged = AutoModelForCausalLM.from_pretrained(adapter.merged(Path(spec.output_dir))).eval()
    assert {key: tensor.shape for key, tensor in merged.state_dict().items()} == sizes
    tokens = torch.arange(1, 20)[None]
    with torch.inference_mode():
        expected = tuned(tokens).logits
        torch.testing.assert_close(merged(tokens).logits, expected, rtol=0, atol=1e-4)
        with tuned.disable_adapter():
            assert float((tuned(tokens).logits - expected).abs().max()) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("name", PARALLEL)
def test_a_run_that_was_ended_continues_to_the_weights_of_one_that_was_not(
    make_spec: MakeSpec, name: str, number: int
) -> None:
    """Not one of its processes outlives the command that was killed."""
    changes: dict[str, Any] = {"epochs": 20, "device_batch": 4, "threads": 1}
    ended, whole = make_spec(output="ended", **changes), make_spec(output="whole", **changes)
    end_at_checkpoint(on_two(ended, name), 4, number)
    assert not (Path(ended.output_dir) / "metrics.json").exists()
    assert checkpoints.latest(checkpoints.checkpoint_dir(ended)) is not None
    launch(ended)
    assert 4 <= adapter.read_metrics(Path(ended.output_dir))["resumed_from_step"] < 40
    train(whole)
    assert_same_training(ended, whole)
    left = sorted(path.name for path in checkpoints.checkpoint_dir(ended).iterdir())
    assert left == ["finished.json", "identity"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SHARED_OUT)
def test_weights_are_shared_out_in_the_precision_of_the_papers_recipe(make_spec: MakeSpec, name: str) -> None:
    one, two = (
        make_spec(output=each, dtype="bfloat16", device_batch=2, threads=1) for each in ("one", "two")
    )
    train(one)
    launch(on_two(two, name))
    np.testing.assert_allclose(curve(two)["loss"], curve(one)["loss"], rtol=0, atol=0.03)


@pytest.mark.slow
def test_what_stops_all_processes_is_one_line(make_spec: MakeSpec, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="finetune stopped: see the line above"):
        launch(on_two(make_spec(learning_rate=1e30, threads=1), "plain"))
    assert capfd.readouterr().err.count("finetune: the loss of step") == 1


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_accelerate_takes_each_of_its_config_files(name: str) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(CONFIGS[name]))
    assert config.distributed_type.value == PARALLEL[name]


def test_a_process_for_each_core_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    from finetune.checks import machine_problems

    monkeypatch.setattr("os.cpu_count", lambda: 2)
    config = FinetuneConfig(name="f", total_batch=2)
    config.runtime.devices = 2
    assert machine_problems(config, gpus=0) == []
    config.runtime.devices = 4096
    (line,) = machine_problems(config, gpus=0)
    assert line.startswith("finetune.runtime.devices=4096: this machine has no GPU, and ")
    assert machine_problems(config, gpus=1) == ["finetune.runtime.devices=4096: this machine has 1 GPU"]
