"""Unit rows, whatever the text."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from ds2.base.errors import UserError
from ds2.method.embedding import Embeddings, tfidf_svd, unit_rows

WORDS = "red green blue tree house river stone cloud night music bread water paper light sound field".split()


def embed(texts: list[str], **options: int) -> Embeddings:
    return unit_rows(tfidf_svd(texts, **options))


def random_texts(count: int, words: int = 2) -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, words)) for _ in range(count)]


def test_rows_are_unit_and_similar_texts_are_near():
    pool = [*random_texts(300), "red tree river", "red tree river stone"]
    vectors = embed(pool, dimensions=8).vectors
    assert vectors.shape == (302, 8)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[300] @ vectors[301] > np.median(vectors @ vectors[300])


def test_a_text_without_a_known_term_gets_a_fixed_unit_vector_and_is_counted():
    embeddings = embed([*random_texts(300), "!!!", "???"], dimensions=8)
    assert embeddings.without_terms == 2
    np.testing.assert_allclose(embeddings.vectors[300], embeddings.vectors[301])
    np.testing.assert_allclose(np.linalg.norm(embeddings.vectors[300]), 1, atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_small_pools_embed_too(count):
    vectors = embed(random_texts(count)).vectors
    assert len(vectors) == count
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_pool_without_any_word_is_refused():
    with pytest.raises(UserError, match="no vocabulary"):
        embed(["!", "?"])


def test_the_same_pool_embeds_to_the_same_rows():
    pool = random_texts(200)
    first, second = (embed(pool, dimensions=8).vectors for _ in range(2))
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_the_number_of_threads_does_not_change_a_bit():
    """Large enough that an SVD by BLAS with two threads differs from one with one by 1.6e-4."""
    import sklearn.decomposition  # noqa: F401  (a limit reaches the libraries that are loaded)

    rng = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(2000)])
    frequencies = 1 / (20 + np.arange(len(words)))
    pool = [" ".join(rng.choice(words, 20, p=frequencies / frequencies.sum())) for _ in range(2000)]
    rows = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            rows.append(embed(pool, dimensions=64).vectors)
    np.testing.assert_array_equal(*rows, strict=True)
