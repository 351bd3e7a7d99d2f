"""Texts to unit rows.

No embedder emits a zero row: a text that has none of the vocabulary's terms gets one fixed unit vector, and is counted.
Rows of `tfidf_svd` are the same bit for bit however many threads there are; those of a neural encoder are rounded as its
device and its threads have it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.config import EmbedderConfig, SentenceEmbedderConfig, TfidfEmbedderConfig
from ds2.errors import MissingInput, UserError
from ds2.pool import Pool
from ds2.threads import one_blas_thread

_SMALL_POOL = 100
"""Below this, document-frequency cuts would leave no vocabulary; they are lifted."""


@dataclass(frozen=True)
class Embeddings:
    vectors: NDArray[np.float32]
    """(N, d), unit rows."""
    without_terms: int = 0
    """Texts that got the fixed vector."""


def embed(
    config: EmbedderConfig, pool: Pool, *, revision: str | None = None, progress: bool = True
) -> Embeddings:
    """Unit rows of a pool's conversations.

    Args:
        revision: the commit that a hub model's configured revision stands for.

    Raises:
        UserError: nothing to embed, a model that cannot be loaded, or rows that are not finite.
    """
    if isinstance(config, TfidfEmbedderConfig):
        vectors = tfidf_svd(
            pool.contents(), dimensions=config.dimensions, min_df=config.min_df, max_df=config.max_df
        )
    elif isinstance(config, SentenceEmbedderConfig):
        vectors = _sentence_transformer(config, pool.conversations(), revision, progress)
    else:
        raise TypeError(f"unknown kind of embedder: {type(config).__name__}")
    return _unit_rows(vectors)


def tfidf_svd(
    texts: Sequence[str], *, dimensions: int = 128, min_df: int = 3, max_df: float = 0.2
) -> NDArray[np.float32]:
    """TF-IDF with sublinear term frequency, reduced by a truncated SVD on one thread; rows are not normalised.

    Args:
        texts: N texts. Under 100, the document-frequency cuts are lifted.

    Returns:
        (N, d): d = `dimensions`, or the whole vocabulary where it or N is no larger. A text without a known term is a zero
        row.

    Raises:
        UserError: no text has a term.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    if len(texts) < _SMALL_POOL:
        min_df, max_df = 1, 1.0
    try:
        terms = TfidfVectorizer(
            sublinear_tf=True, min_df=min_df, max_df=max_df, dtype=np.float32
        ).fit_transform(texts)
    except ValueError as error:
        raise UserError(
            f"embedder=tfidf_svd finds no vocabulary in the pool between embedder.min_df={min_df} and "
            f"embedder.max_df={max_df}: {error}"
        ) from error
    if min(terms.shape) <= dimensions:  # nothing to reduce
        return np.asarray(terms.toarray(), dtype=np.float32)
    # With more threads, sums are rounded otherwise, and the power iterations make of it differences up to 4e-4.
    with one_blas_thread():
        return np.asarray(TruncatedSVD(dimensions, random_state=0).fit_transform(terms), dtype=np.float32)


def _unit_rows(vectors: NDArray[np.float32]) -> Embeddings:
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise UserError(f"the embedding of sample {row} is not finite")
    norms = np.linalg.norm(vectors, axis=1)
    empty = norms < 1e-9
    unit = vectors / np.where(empty, 1, norms)[:, None]
    unit[empty] = 1 / np.sqrt(vectors.shape[1])
    return Embeddings(np.ascontiguousarray(unit, dtype=np.float32), int(empty.sum()))


def _sentence_transformer(
    config: SentenceEmbedderConfig, texts: list[str], revision: str | None, progress: bool
) -> NDArray[np.float32]:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    from sentence_transformers import SentenceTransformer

    model = _with_mean_pooling(config, revision)
    assert isinstance(model, SentenceTransformer)
    vectors: Any = model.encode(
        texts, batch_size=config.runtime.batch_size, show_progress_bar=progress, convert_to_numpy=True
    )
    return np.asarray(vectors, dtype=np.float32)


def _with_mean_pooling(config: SentenceEmbedderConfig, revision: str | None) -> Any:
    """The paper pools by the mean, whatever the model's own folder says."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    local = Path(config.model).expanduser()
    name = str(local) if local.is_dir() else config.model
    options = {} if revision is None or local.is_dir() else {"revision": revision}
    try:
        words = Transformer(name, model_kwargs=options, processor_kwargs=options, config_kwargs=options)
    except (OSError, ValueError) as error:
        raise MissingInput(
            f"embedder.model={config.model} cannot be loaded: {str(error).splitlines()[0]}; fetch it with prepare=true "
            "where the hub can be reached, give a local folder, or use embedder=tfidf_svd, which needs no weights"
        ) from error
    if config.max_tokens is not None:
        words.max_seq_length = config.max_tokens
    pooling = Pooling(words.get_embedding_dimension(), pooling_mode="mean")
    device = None if config.runtime.device == "auto" else config.runtime.device
    return SentenceTransformer(modules=[words, pooling], device=device)
