"""A sentence encoder of random weights, for what is true of any."""

from __future__ import annotations

from pathlib import Path

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "user", "assistant", "question", "red", "tree")


def tiny_encoder(folder: Path, seed: int = 0) -> Path:
    """Write one below a folder, as sentence-transformers loads it; where it is. Needs torch, transformers."""
    import torch
    import transformers

    (folder / "vocab.txt").write_text("\n".join(WORDS))
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    encoder = folder / "encoder"
    transformers.BertModel(config).save_pretrained(encoder)
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(encoder)
    return encoder
