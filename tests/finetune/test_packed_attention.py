from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig

from finetune import packed_attention

SIZES: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
    "initializer_range": 0.3, "use_cache": False,
}  # fmt: skip


def tuned(config: Any) -> Any:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    return get_peft_model(model, LoraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM")).eval()


def gradient(model: Any) -> torch.Tensor:
    """Of a layer's LoRA matrix, for a row of three samples."""
    rows = torch.arange(20)[None] % 7
    positions = torch.cat([torch.arange(length) for length in (9, 8, 3)])[None]
    model.zero_grad()
    model(input_ids=rows, position_ids=positions, labels=rows).loss.backward()
    return next(p.grad for n, p in model.named_parameters() if "lora_B" in n).clone()


def test_samples_that_attend_to_themselves_learn_what_a_mask_of_the_row_lets_them() -> None:
    model = tuned(LlamaConfig(**SIZES))
    masked = gradient(model)
    assert packed_attention.use(model, longest=20)
    assert model.config._attn_implementation == packed_attention.NAME
    assert masked.abs().max() > 1e-3
    torch.testing.assert_close(gradient(model), masked, rtol=1e-4, atol=1e-6)


def test_no_mask_of_the_row_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    model, asked = tuned(LlamaConfig(**SIZES)), []
    assert packed_attention.use(model, longest=20)
    plain = torch.nn.functional.scaled_dot_product_attention

    def attention(query: torch.Tensor, *others: Any, **options: Any) -> torch.Tensor:
        asked.append((query.shape[2], options.get("attn_mask")))
        return plain(query, *others, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", attention)
    gradient(model)
    assert asked == [(tokens, None) for _ in range(2) for tokens in (9, 8, 3)]


@pytest.mark.parametrize(("longest", "used"), [(8, True), (9, False)])
def test_a_model_whose_layers_see_a_window_keeps_its_masks_for_longer_samples(
    longest: int, used: bool
) -> None:
    model = tuned(MistralConfig(**SIZES, sliding_window=8))
    assert packed_attention.use(model, longest=longest) is used
    assert (model.config._attn_implementation == packed_attention.NAME) is used


def test_a_model_in_which_it_comes_to_something_else_keeps_its_masks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tuned(LlamaConfig(**SIZES))
    before = gradient(model)
    monkeypatch.setattr(packed_attention, "sample_edges", lambda positions: (0, positions.shape[1]))
    assert not packed_attention.use(model, longest=20)
    torch.testing.assert_close(gradient(model), before)
