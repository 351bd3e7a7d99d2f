from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ds2.base.paths import project_root
from finetune.spec import FinetuneSpec, write_spec
from finetune.train import train

CONFIGS = sorted((project_root() / "conf" / "finetune" / "accelerate").glob("*.yaml"))


def test_two_processes_learn_what_one_learns(make_spec: Callable[..., FinetuneSpec]) -> None:
    one, two = (make_spec(output=name, device_batch=2, threads=1) for name in ("one", "two"))
    train(one)
    write_spec(two, Path(two.output_dir) / "spec.json")
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node",
        "2",
        "-m",
        "finetune",
    ]
    environment = {**os.environ, "PYTHONPATH": str(project_root()), "OMP_NUM_THREADS": "1"}
    subprocess.run([*launch, f"{two.output_dir}/spec.json"], env=environment, check=True, timeout=200)
    metrics = json.loads((Path(two.output_dir) / "metrics.json").read_text())
    assert (metrics["devices"], metrics["device_batch"], metrics["accumulation"]) == (2, 2, 2)
    first, second = (
        load_file(Path(s.output_dir) / "adapter" / "adapter_model.safetensors") for s in (one, two)
    )
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=1e-4)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_accelerate_takes_each_of_its_config_files(path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(path))
    assert config.distributed_type.value in ("FSDP", "DEEPSPEED")


def test_fsdp_and_zero3_have_their_config_files() -> None:
    assert {path.stem for path in CONFIGS} >= {"fsdp", "deepspeed_zero3"}
