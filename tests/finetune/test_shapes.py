"""Fine-tuning by default on base models of other shapes than LLaMA's: trained whole, loaded, merged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ds2.models.tiny import byte_tokenizer
from finetune.spec import FinetuneSpec
from finetune.train import train

SMALL = {
    "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "max_position_embeddings": 128,
}  # fmt: skip
SHAPES: dict[str, tuple[dict[str, Any], int]] = {
    "Phi3": (SMALL, 4),
    "GPT2": ({"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 128}, 4),
    "Mixtral": ({**SMALL, "num_local_experts": 4}, 4 + 2),
    "Qwen2Moe": (
        {**SMALL, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
         "shared_expert_intermediate_size": 16},
        4 + 3 + 2,
    ),
}  # fmt: skip
"""Name -> configuration, and how many layers or experts a block has."""


def base_model(shape: str, folder: Path) -> str:
    import transformers

    tokenizer = byte_tokenizer()
    config = getattr(transformers, f"{shape}Config")(
        **SHAPES[shape][0], vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, initializer_range=0.1,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_layer_is_trained_and_the_merged_model_is_the_adapters(
    make_spec: Callable[..., FinetuneSpec], tmp_path: Path, shape: str
) -> None:
    spec = make_spec(max_steps=3, merge=True)
    spec.base_model = base_model(shape, tmp_path / "base")
    metrics = train(spec)  # which compares the merged model's logits with the adapter's
    assert metrics["merge_max_logit_error"] < 1e-3
    weights = load_file(Path(spec.output_dir) / "adapter" / "adapter_model.safetensors")
    trained = [name for name, value in weights.items() if "lora_B" in name and value.abs().max() > 0]
    assert len(trained) == 2 * SHAPES[shape][1]  # two blocks
