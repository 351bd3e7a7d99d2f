"""Weights that devices share out (FSDP2, ZeRO-3), by an accelerate config file; on a CPU too."""

from __future__ import annotations

import os
from typing import Any

KINDS = ("FSDP", "DEEPSPEED", "MEGATRON_LM")
"""Kinds of parallelism whose devices do not hold whole weights, as accelerate names them."""


def allow_on_cpu(arguments: Any) -> None:
    """Let FSDP share out weights between processes of a CPU, of which accelerate would, without a word, give
    each all of them: its `AcceleratorState` looks at the environment only where devices are no CPU's.

    Args:
        arguments: transformers' TrainingArguments, which have joined the processes.
    """
    from accelerate import DistributedType

    state = arguments.distributed_state
    if (
        state.distributed_type is DistributedType.MULTI_CPU
        and os.environ.get("ACCELERATE_USE_FSDP") == "true"
    ):
        state.distributed_type = DistributedType.MULTI_GPU


def end() -> None:
    """From here on models are loaded whole, by this process alone: it does not wait for the others."""
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    unset_hf_deepspeed_config()
    os.environ.pop("ACCELERATE_USE_FSDP", None)
