"""A base model's mark, kept beside an adapter, so that an adapter is never loaded onto another base unnoticed."""

from __future__ import annotations

import hashlib
from typing import Any

ROWS = 64
"""Embedding rows that enter the mark."""
FILE = "base.json"
"""Beside the adapter: {"name", "digest"}."""


def base_digest(model: Any) -> str:
    """Hash of the model's shape and of some weights that neither quantisation nor LoRA touches, rounded to bfloat16.

    Equal for one model loaded in float32 and in bfloat16; different for two models of one architecture.
    """
    import torch

    config = model.config.to_dict()
    shape = [config.get(key) for key in ("model_type", "vocab_size", "hidden_size", "num_hidden_layers")]
    digest = hashlib.sha256(repr(shape).encode())
    rows = model.get_input_embeddings().weight[:ROWS].detach().to("cpu", torch.bfloat16)
    digest.update(rows.contiguous().view(torch.int16).numpy().tobytes())
    return digest.hexdigest()[:16]
