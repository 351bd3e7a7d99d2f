"""The adapter folded into the base model's weights, where an engine loads none: W + (alpha / rank) B A."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.artifacts import adapter
from ds2.models.pretrained import load_model, load_tokens
from ds2.models.turns import stop_ids
from finetune.spec import FinetuneSpec

TOLERANCE = {"float32": 1e-4, "bfloat16": 0.1, "float16": 0.02}
"""Largest logit difference that rounding explains, relative to the largest logit."""
PROBE_TOKENS = 256


def merge_adapter(spec: FinetuneSpec, *, probe: NDArray[np.int32]) -> float:
    """Write the merged model and its tokenizer beside the adapter; return the largest difference of its
    logits on `probe`.

    The base is loaded anew and unquantised, and the model compared is the one read back from disk. Raises
    RuntimeError where its logits are not those of base and adapter, and removes nothing: the adapter stays as
    it is.
    """
    import torch
    from peft import PeftModel

    dtype = getattr(torch, spec.config.dtype)
    weights, merged = adapter.weights(Path(spec.output_dir)), adapter.merged(Path(spec.output_dir))
    base = load_model(spec.base_model, spec.revision, dtype=dtype)
    tuned = PeftModel.from_pretrained(base, weights).eval()
    before = _logits(tuned, probe)
    tokenizer = load_tokens(weights)
    whole = tuned.merge_and_unload()
    whole.generation_config.eos_token_id = stop_ids(tokenizer)  # an answer ends where its turn does
    whole.save_pretrained(merged)
    tokenizer.save_pretrained(merged)
    after = _logits(load_model(merged, dtype=dtype).eval(), probe)
    error = float((after - before).abs().max())
    allowed = TOLERANCE[spec.config.dtype] * float(before.abs().max())
    if not error <= allowed:
        raise RuntimeError(
            f"{merged}: logits differ by {error:.3g} from those of the adapter, more than {allowed:.3g}"
        )
    return error


def _logits(model: Any, probe: NDArray[np.int32]) -> Any:
    import torch

    with torch.inference_mode():
        return model(torch.from_numpy(probe[:PROBE_TOKENS].astype(np.int64))[None]).logits.float()
