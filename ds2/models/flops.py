"""Floating-point operations of a language model, and how well a device is used.

Of a model of N parameters, a token costs about 2 N to read and 4 N to pass a gradient through: 6 N to train.
With LoRA the gradients of the N_0 frozen weights are not needed: 4 N + 2 N_trained are done. Attention's own
operations, which grow with the context, are left out, as is usual (Kaplan et al. 2020, section 2.1).
"""

from __future__ import annotations

import re

PEAKS = {
    "H200": 989e12, "H100 PCIe": 756e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12,
    "A10": 125e12, "V100": 125e12, "T4": 65e12, "RTX 4090": 165e12, "RTX 3090": 71e12,
}  # fmt: skip
"""Words of a card's name, the longer ones first -> dense operations a second in 16 bits, from NVIDIA's data
sheets.
"""
ANOTHER_CARD = frozenset({"NVL", "MIG", "Laptop", "Ti", "D", "Max"})
"""Words behind a card's name that make it another one, slower or faster: a slice of it (MIG), a laptop's."""


def training(parameters: int, tokens: int) -> float:
    """6 N D: what budgets count, whatever is trained."""
    return 6.0 * parameters * tokens


def reading(parameters: int, tokens: int) -> float:
    """2 N D: a forward pass."""
    return 2.0 * parameters * tokens


def comparing(rows: int, width: int, share: float = 1.0) -> float:
    """2 N^2 d: every row with a share of all rows of d numbers."""
    return 2.0 * rows * rows * width * share


def done_per_token(parameters: int, trained: int) -> float:
    """What a training token really costs: see above."""
    return 4.0 * parameters + 2.0 * trained


def peak_of(card: str) -> float | None:
    """Operations a second that a card of this name can reach; None: one that is not listed."""
    words = re.split(r"[\s_-]+", card)
    if not ANOTHER_CARD.isdisjoint(words):
        return None
    name = f" {' '.join(words)} "
    return next((peak for listed, peak in PEAKS.items() if f" {listed} " in name), None)


def peak_of_device() -> float | None:
    """Operations a second that this GPU can reach; None: no GPU, or one that is not listed."""
    import torch

    return peak_of(torch.cuda.get_device_name()) if torch.cuda.is_available() else None
