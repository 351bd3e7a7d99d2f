"""A base model's mark, kept beside an adapter: none is loaded onto another base unnoticed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ds2.models.pretrained import load_shape, model_of

ROWS = 64
"""Embedding rows that enter the mark."""


def base_digest(model: Any) -> str:
    """Hash of the model's shape and of some weights that quantisation and LoRA leave alone, in bfloat16.

    Equal for one model loaded in float32 and in bfloat16; different for two models of one architecture.
    """
    return _digest(model.config, model.get_input_embeddings().weight[:ROWS])


def stored_digest(name: str, revision: str | None) -> str | None:
    """The same of a model that another engine loads: from its configuration and its safetensors files.

    Args:
        name: local directory, or name on the hub.

    Returns:
        None where the embedding is not to be found there under the name that transformers gives it.

    Raises:
        OSError: there is no such model.
    """
    import torch
    from safetensors import safe_open
    from transformers.utils import cached_file

    config = load_shape(name, revision)
    with torch.device("meta"):
        model = model_of(config)
    embedding = model.get_input_embeddings().weight
    key = next(key for key, weight in model.named_parameters() if weight is embedding)
    try:
        index = cached_file(name, "model.safetensors.index.json", revision=revision)
        file = json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"].get(key, "none")
    except OSError:
        file = "model.safetensors"  # all weights in one file
    try:
        path = cached_file(name, file, revision=revision)
    except OSError:
        return None
    with safe_open(path, framework="pt") as tensors:
        if key not in tensors.keys():  # noqa: SIM118
            return None
        return _digest(config, tensors.get_slice(key)[:ROWS])


def _digest(config: Any, rows: Any) -> str:
    import torch

    values = config.to_dict()
    shape = [values.get(key) for key in ("model_type", "vocab_size", "hidden_size", "num_hidden_layers")]
    digest = hashlib.sha256(repr(shape).encode())
    kept = rows.detach().to("cpu", torch.bfloat16).contiguous()
    digest.update(kept.view(torch.int16).numpy().tobytes())
    return digest.hexdigest()[:16]
