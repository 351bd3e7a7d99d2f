"""A random Llama of 0.1 million parameters with a byte tokenizer: for tests of the machinery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ds2.models.quiet import quiet_transformers

BOS, EOS, PAD = "<s>", "</s>", "<pad>"
MAX_TOKENS = 4096
"""Longest input, in bytes: long enough for the few-shot prompts of the real benchmarks."""


def build(directory: str | Path, seed: int) -> dict[str, Any]:
    """Write weights (float32 safetensors) and tokenizer into `directory`; equal seeds give equal bytes.

    Every string can be encoded, one token a byte. The tokenizer has no chat template of its own: fine-tuning
    gives it one. Returns `parameters`, `vocabulary` and `seed`.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = byte_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,  # heads of 32, the smallest that vLLM and flash attention take
        num_key_value_heads=2,
        max_position_embeddings=MAX_TOKENS,
        initializer_range=0.1,  # at the usual 0.02 the frozen output is too small for LoRA to lower the loss
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    with quiet_transformers():
        model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return {"parameters": model.num_parameters(), "vocabulary": len(tokenizer), "seed": seed}


def byte_tokenizer() -> Any:
    """A transformers tokenizer with one token for each byte, and bos, eos and pad; made without any file."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = [PAD, BOS, EOS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        model_max_length=MAX_TOKENS,
        clean_up_tokenization_spaces=False,
    )
