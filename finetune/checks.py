"""What can be known of a fine-tuning before it starts.

Each function gives the problems it finds, a line each, with the option to change; none of them needs a run.
`config_problems` reads values alone, in no time; the others look at the machine or at the base model's files.
"""

from __future__ import annotations

import math
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ds2.base.errors import MissingInput, UserError
from ds2.config import FinetuneConfig, Quantization
from ds2.models.devices import dtype_problem
from ds2.models.lora_targets import ALL_LINEAR, find_targets
from ds2.models.pretrained import load_shape, model_of
from ds2.models.trained_tokens import OWN_TEMPLATE, known_templates, load_tokenizer, set_template
from finetune.stream import device_batch

SCHEDULES = (
    "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup",
    "inverse_sqrt",
)  # fmt: skip
"""Schedules of transformers that need no further settings."""
ATTENTION = {"sdpa": None, "eager": None, "flash_attention_2": "flash_attn"}
"""Attention kernels, and the package each needs."""
KERNELS = ("torch", "liger")
TARGETS = "finetune.target_modules"
MADE_LAYERS = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
"""Linear layers of the base models that are made on the spot, which are LLaMAs."""


def config_problems(config: FinetuneConfig) -> list[str]:
    """What is wrong with the values alone."""
    runtime, rate = config.runtime, config.learning_rate
    epochs = config.max_steps is not None or 0 < config.epochs < math.inf
    rules = [
        (config.rank >= 1, f"rank={config.rank} must be at least 1"),
        (config.alpha >= 1, f"alpha={config.alpha} must be at least 1"),
        (0 <= config.dropout < 1, f"dropout={config.dropout:g} must be a share from 0 up to 1, 1 left out"),
        (bool(config.target_modules), "target_modules is empty: name layers, or [all-linear]"),
        (0 < rate < math.inf, f"learning_rate={rate:g} must be a number above 0"),
        (0 <= config.warmup_ratio <= 1, f"warmup_ratio={config.warmup_ratio:g} must be a share in 0..1"),
        (0 <= config.weight_decay < math.inf, f"weight_decay={config.weight_decay:g} must not be negative"),
        (epochs, f"epochs={config.epochs:g} must be above 0; finetune=none trains nothing"),
        (
            config.max_steps is None or config.max_steps >= 1,
            f"max_steps={config.max_steps} must be at least 1, or null to go by epochs",
        ),
        (config.total_batch >= 1, f"total_batch={config.total_batch} must be at least 1"),
        (config.max_tokens >= 2, f"max_tokens={config.max_tokens} must be at least 2"),
        (
            config.schedule in SCHEDULES,
            f"schedule={config.schedule} is unknown: use one of {', '.join(SCHEDULES)}",
        ),
        (
            config.template in known_templates(),
            f"template={config.template} is unknown: use one of {', '.join(known_templates())} (the base "
            "model's own)",
        ),
        (
            runtime.attention in ATTENTION,
            f"runtime.attention={runtime.attention} is unknown: use one of {', '.join(ATTENTION)}",
        ),
        (
            runtime.kernels in KERNELS,
            f"runtime.kernels={runtime.kernels} is unknown: use one of {', '.join(KERNELS)}",
        ),
        (
            runtime.threads is None or runtime.threads >= 1,
            f"runtime.threads={runtime.threads} must be at least 1",
        ),
        (
            runtime.devices is None or runtime.devices >= 1,
            f"runtime.devices={runtime.devices} must be at least 1",
        ),
    ]
    dtype = dtype_problem("finetune.dtype", config.dtype)
    return [f"finetune.{line}" for fine, line in rules if not fine] + ([dtype] if dtype else [])


def machine_problems(config: FinetuneConfig, *, gpus: int) -> list[str]:
    """What this machine lacks: packages, files, GPUs; and a batch that does not divide over its devices."""
    runtime, problems = config.runtime, []
    package = ATTENTION.get(runtime.attention)
    if package and find_spec(package) is None:
        problems.append(
            f"finetune.runtime.attention={runtime.attention} needs the package "
            f"{package.replace('_', '-')}: pip install {package.replace('_', '-')}, or use sdpa"
        )
    if runtime.kernels == "liger":
        if find_spec("liger_kernel") is None:
            problems.append(
                "finetune.runtime.kernels=liger needs the package liger-kernel: pip install 'ds2[liger]', "
                "or use torch"
            )
        elif not gpus:
            problems.append("finetune.runtime.kernels=liger needs a GPU: use torch")
    if config.quantization is Quantization.nf4 and find_spec("bitsandbytes") is None:
        problems.append("finetune.quantization=nf4 needs the package bitsandbytes: pip install 'ds2[qlora]'")
    if runtime.accelerate_config is not None and not Path(runtime.accelerate_config).expanduser().is_file():
        problems.append(f"finetune.runtime.accelerate_config={runtime.accelerate_config}: no such file")
    cores = os.cpu_count() or 1
    if runtime.devices is not None and runtime.devices > (gpus or cores):
        there = f"{gpus} GPU{'' if gpus == 1 else 's'}" if gpus else f"no GPU, and {cores} cores"
        problems.append(f"finetune.runtime.devices={runtime.devices}: this machine has {there}")
        return problems
    try:
        device_batch(config.total_batch, devices=runtime.devices or gpus or 1, wanted=runtime.device_batch)
    except UserError as error:
        problems.append(str(error))
    return problems


def model_problems(config: FinetuneConfig, base_model: str, revision: str | None) -> list[str]:
    """What does not fit the base model: template, layers, dropout on experts. Reads its configuration and its
    tokenizer (folder, or the hub's cache), not its weights.
    """
    import torch

    from ds2.models.quiet import quiet_transformers

    problems = []
    with quiet_transformers():
        try:
            set_template(load_tokenizer(base_model, revision), config.template)
        except UserError as error:
            problems.append(str(error))
            if isinstance(error, MissingInput):
                return problems
        try:
            shape = load_shape(base_model, revision)
            with torch.device("meta"):
                model = model_of(shape)
        except (OSError, ValueError) as error:
            return [*problems, f"base model {base_model} cannot be loaded: {str(error).splitlines()[0]}"]
    return problems + shape_problems(config, model)


def shape_problems(config: FinetuneConfig, model: Any) -> list[str]:
    """What does not fit a loaded model (on any device, `meta` too): names of layers, dropout on experts."""
    try:
        targets = find_targets(model, config.target_modules, option=TARGETS)
    except UserError as error:
        return [str(error)]
    if targets.parameters and config.dropout > 0:
        return [
            f"finetune.dropout={config.dropout:g}: experts that are one parameter "
            f"({', '.join(targets.parameters)}) are trained without dropout: set finetune.dropout=0, or "
            f"leave them out by finetune.target_modules=[{','.join(targets.modules)}]"
        ]
    return []


def length_problems(config: FinetuneConfig, model: Any, longest: int) -> list[str]:
    """Samples longer than the model's context, at positions that it has never seen or does not have.

    longest: tokens of the longest sample, as cut at `finetune.max_tokens`.
    """
    context = getattr(model.config, "max_position_embeddings", None)
    if context is None or longest <= context:
        return []
    return [
        f"a sample has {longest} tokens, more than the {context} of the base model's context: set "
        f"finetune.max_tokens={context}"
    ]


def made_model_problems(config: FinetuneConfig) -> list[str]:
    """The same for a base model that the run makes itself (`model=tiny`, `model=mini`)."""
    problems = []
    if config.template == OWN_TEMPLATE:
        problems.append(
            "the base models made here have no chat template of their own: use finetune.template=tulu"
        )
    if list(config.target_modules) != [ALL_LINEAR]:
        unknown = sorted(set(config.target_modules) - MADE_LAYERS)
        if unknown:
            problems.append(
                f"finetune.target_modules: {', '.join(unknown)}: the base models made here have "
                f"{', '.join(sorted(MADE_LAYERS))}"
            )
    return problems
