"""Tiny models of each shape: separate and fused projections, experts in one parameter, Conv1D layers."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from ds2.base.errors import UserError
from ds2.models.lora_targets import find_targets

SMALL = {
    "vocab_size": 40, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 64,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8}
GPT2 = {
    "vocab_size": 40, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", SMALL),
    "phi3": ("Phi3Config", SMALL),
    "gpt2": ("GPT2Config", GPT2),
    "mixtral": ("MixtralConfig", {**SMALL, "num_local_experts": 4}),
    "qwen2_moe": ("Qwen2MoeConfig", {**SMALL, **EXPERTS, "shared_expert_intermediate_size": 8}),
    "qwen3_moe": ("Qwen3MoeConfig", {**SMALL, **EXPERTS, "head_dim": 8}),
}
ATTENTION = ["k_proj", "o_proj", "q_proj", "v_proj"]
MLP = ["down_proj", "gate_proj", "up_proj"]
FUSED = ["experts.down_proj", "experts.gate_up_proj"]
LAYERS: dict[str, tuple[list[str], list[str]]] = {
    "llama": (sorted(ATTENTION + MLP), []),
    "phi3": (["down_proj", "gate_up_proj", "o_proj", "qkv_proj"], []),
    "gpt2": (["c_attn", "c_fc", "c_proj"], []),
    "mixtral": (ATTENTION, FUSED),
    "qwen2_moe": (sorted(ATTENTION + MLP), FUSED),  # the shared expert's three are layers of their own
    "qwen3_moe": (ATTENTION, FUSED),
}


def build(shape: str, device: str = "meta") -> Any:
    import torch
    import transformers

    kind, fields = SHAPES[shape]
    with torch.device(device):
        return transformers.AutoModelForCausalLM.from_config(getattr(transformers, kind)(**fields))


@cache
def outline(shape: str) -> Any:
    return build(shape)


def find(shape: str, *names: str) -> tuple[list[str], list[str]]:
    targets = find_targets(outline(shape), names, option="finetune.target_modules")
    return list(targets.modules), list(targets.parameters)


@pytest.mark.parametrize("shape", SHAPES)
def test_all_linear_takes_every_layer_and_expert_but_head_and_routers(shape: str) -> None:
    assert find(shape, "all-linear") == LAYERS[shape]


def test_names_are_sorted_and_stand_for_layers_and_experts_alike() -> None:
    assert find("llama", "v_proj", "q_proj") == (["q_proj", "v_proj"], [])
    assert find("mixtral", "q_proj", "gate_up_proj") == (["q_proj"], ["experts.gate_up_proj"])
    assert find("qwen2_moe", "down_proj") == (["down_proj"], ["experts.down_proj"])
    assert find("llama", "lm_head", "embed_tokens", "self_attn.q_proj")[0] == [
        "embed_tokens", "lm_head", "self_attn.q_proj"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "names", "message"),
    [
        (
            "llama",
            ["q_proj", "k_porj"],
            r"k_porj is no layer of this base model \(llama\); it has down_proj,",
        ),
        ("phi3", ["q_proj", "k_proj", "o_proj"], "q_proj, k_proj are no layer .*qkv_proj"),
        ("mixtral", ["q_proj", "gate_proj"], r"gate_proj is no layer .*experts\.gate_up_proj"),
        ("gpt2", ["q_proj"], "q_proj is no layer .* c_attn, c_fc, c_proj; "),
        ("llama", ["proj"], "proj is no layer"),  # a part of a name is none
    ],
)
def test_a_name_that_is_no_layer_is_refused_with_those_there_are(
    shape: str, names: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=r"finetune\.target_modules: " + message):
        find(shape, *names)
