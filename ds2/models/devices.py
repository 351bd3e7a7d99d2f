"""What this machine computes on, and in which number formats: checked before a model is loaded."""

from __future__ import annotations

import re

DTYPES = ("float32", "bfloat16", "float16")
"""Number formats of weights, by torch's names."""


def dtype_problem(option: str, dtype: str) -> str | None:
    """One line where `option` names no number format."""
    return None if dtype in DTYPES else f"{option}={dtype} is unknown: use one of {', '.join(DTYPES)}"


def device_problem(option: str, device: str, instead: str = "auto") -> str | None:
    """One line where `option` names no device, or one that this machine lacks: use `instead`.

    `auto` and `cpu` are told without importing torch.
    """
    if device in ("auto", "cpu"):
        return None
    if device == "mps":
        import torch

        there = torch.backends.mps.is_available()
        return None if there else f"{option}=mps: this machine has none; use {instead}"
    if not re.fullmatch(r"cuda(:\d+)?", device):
        return f"{option}={device} is unknown: use auto, cpu, mps, cuda, or cuda:1 for the second GPU"
    gpus = gpu_count()
    if int(device.partition(":")[2] or 0) < gpus:
        return None
    has = f"{gpus or 'no'} GPU{'' if gpus == 1 else 's'}"
    return f"{option}={device}: this machine has {has}; use {instead}"


def gpu_count() -> int:
    """GPUs that torch sees."""
    import torch

    return int(torch.cuda.device_count())
