"""The one place from which `ds2` reaches the leaves `finetune` and `eval`, and the experiments.

On a GPU a leaf runs as a child process, so that its memory is free again when it ends (under `accelerate launch` where
there are several devices). On CPU it is imported late and runs in this process: a sweep of tiny models would otherwise
spend its time importing.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ds2.config import RuntimeConfig
from ds2.errors import MissingInput, UserError
from ds2.paths import make_importable, project_root
from ds2.plain import to_plain

_ENTRY = {"finetune": ("finetune.train", "train"), "eval": ("eval.run", "evaluate")}
_USER_ERROR = 2
"""A leaf's exit code when it has said in one line what its user should change."""


def finetune(
    spec: Any, runtime: RuntimeConfig, *, devices: int | None, accelerate_config: str | None = None
) -> None:
    """Run the fine-tuning recipe; it writes into `spec.output_dir`.

    Args:
        devices: GPUs to use; None: all.
        accelerate_config: a file for `accelerate launch` (FSDP, DeepSpeed); it implies a child process.
    """
    _run("finetune", spec, runtime, devices, accelerate_config)


def evaluate(spec: Any, runtime: RuntimeConfig) -> None:
    """Run an evaluation; it writes into `spec.output_dir`."""
    _run("eval", spec, runtime, 1)


def experiments(arguments: Sequence[str]) -> int:
    """`python -m experiments ARGUMENTS`, also where the project is an installed package; its exit code."""
    make_importable()
    code: int = importlib.import_module("experiments.__main__").main(arguments)
    return code


def _run(
    leaf: str, spec: Any, runtime: RuntimeConfig, devices: int | None, accelerate_config: str | None = None
) -> None:
    gpus = _gpu_count()
    if accelerate_config is not None or _isolated(runtime, gpus):
        _run_child(leaf, spec, min(devices or gpus, gpus), accelerate_config)
        return
    make_importable()
    module, function = _ENTRY[leaf]
    getattr(importlib.import_module(module), function)(spec)


def _gpu_count() -> int:
    import torch

    return int(torch.cuda.device_count())


def _isolated(runtime: RuntimeConfig, gpus: int) -> bool:
    choice = runtime.isolate.lower()
    if choice not in ("auto", "true", "false"):
        raise UserError(f"runtime.isolate={runtime.isolate} is none of auto, true, false")
    return gpus > 0 if choice == "auto" else choice == "true"


def _run_child(leaf: str, spec: Any, devices: int, accelerate_config: str | None) -> None:
    launch = ["-m", leaf]
    if accelerate_config is not None and not Path(accelerate_config).is_file():
        raise MissingInput(f"finetune.runtime.accelerate_config={accelerate_config}: no such file")
    if accelerate_config is not None or devices > 1:
        config = [] if accelerate_config is None else ["--config_file", accelerate_config]
        processes = ["--num_processes", str(max(devices, 1))]
        launch = ["-m", "accelerate.commands.launch", *config, *processes, "-m", leaf]
    path = os.pathsep.join(p for p in (os.environ.get("PYTHONPATH"), str(project_root())) if p)
    with tempfile.TemporaryDirectory(prefix="ds2-") as folder:
        spec_file = Path(folder) / "spec.json"
        spec_file.write_text(json.dumps(to_plain(spec)), encoding="utf-8")
        run = subprocess.run(
            [sys.executable, *launch, str(spec_file)], env={**os.environ, "PYTHONPATH": path}, check=False
        )
    if run.returncode == _USER_ERROR:
        raise UserError(f"{leaf} stopped: see the line above")
    if run.returncode != 0:
        raise RuntimeError(
            f"the child process `python {' '.join(launch)}` ended with exit code {run.returncode}"
        )
