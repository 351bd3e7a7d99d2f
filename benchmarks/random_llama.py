"""A Llama of random weights and a byte tokenizer, for measuring speed where no hub is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

LLAMA_3_1_8B = {
    "vocab_size": 128_256, "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8,
}  # fmt: skip
TOY = {
    "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 2,
}  # fmt: skip


def random_llama(directory: Path, shape: dict[str, Any]) -> None:
    """Write bfloat16 weights of this shape, drawn on the GPU where there is one, and the tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from ds2.models.quiet import quiet_transformers
    from ds2.models.tiny import byte_tokenizer

    tokenizer = byte_tokenizer()
    config = LlamaConfig(
        **shape,
        max_position_embeddings=8192,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype="bfloat16",
    )
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        torch.set_default_dtype(torch.bfloat16)
        model = LlamaForCausalLM(config)
        torch.set_default_dtype(torch.float32)
    with quiet_transformers():
        model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
