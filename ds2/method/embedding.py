"""Texts to unit rows.

No embedder emits a zero row: a text that has none of the vocabulary's terms gets one fixed unit vector, and
is counted. Rows of `tfidf_svd` are the same bit for bit however many threads there are; those of a neural
encoder are rounded as its device and its threads have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import UserError
from ds2.base.threads import one_blas_thread
from ds2.method.terms import analyzer_for, count_vectorizer, terms_of

_SMALL_POOL = 100
"""Below this, document-frequency cuts would leave no vocabulary; they are lifted."""


@dataclass(frozen=True)
class Embeddings:
    vectors: NDArray[np.float32]
    """(N, d), unit rows."""
    without_terms: int = 0
    """Texts that got the fixed vector."""


def tfidf_svd(
    texts: Sequence[str], *, dimensions: int = 128, min_df: int = 2, max_df: float = 1.0
) -> NDArray[np.float32]:
    """TF-IDF with sublinear term frequency, reduced by a truncated SVD on one thread; rows are not
    normalised.

    Args:
        texts: N texts. Under 100, the document-frequency cuts are lifted.

    Returns:
        (N, d): d = `dimensions`, or the whole vocabulary where it or N is no larger. A text without a known
        term is a zero row.

    Raises:
        UserError: no text has a term.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    if len(texts) < _SMALL_POOL:
        min_df, max_df = 1, 1.0
    try:
        terms = TfidfVectorizer(
            analyzer=analyzer_for(texts), sublinear_tf=True, min_df=min_df, max_df=max_df, dtype=np.float32
        ).fit_transform(texts)
    except ValueError as error:
        raise UserError(_no_vocabulary(texts, min_df, max_df)) from error
    if min(terms.shape) <= dimensions:  # nothing to reduce
        return np.asarray(terms.toarray(), dtype=np.float32)
    # With more threads, sums are rounded otherwise, and the power iterations make of it differences up to
    # 4e-4.
    with one_blas_thread():
        return np.asarray(TruncatedSVD(dimensions, random_state=0).fit_transform(terms), dtype=np.float32)


def check_vocabulary(texts: Sequence[str] | None, count: int, min_df: int, max_df: float) -> None:
    """Refuse document frequencies that leave no term, before anything is computed.

    Args:
        texts: the texts, whose words are counted; None: only the bounds are compared.
        count: number of texts.

    Raises:
        UserError: bounds that exclude every term, or these texts' terms.
    """
    if count < _SMALL_POOL:
        min_df, max_df = 1, 1.0
    if min_df < 1 or not 0 < max_df <= 1 or max_df * count < min_df:
        raise UserError(
            f"embedder.min_df={min_df} and embedder.max_df={max_df:g} leave no term of {count} texts: a "
            "term must be in at least min_df texts, and in at most a share max_df of them"
        )
    if texts is None:
        return
    try:
        count_vectorizer(texts, min_df=min_df, max_df=max_df, binary=True).fit(texts)
    except ValueError as error:
        raise UserError(_no_vocabulary(texts, min_df, max_df)) from error


def _no_vocabulary(texts: Sequence[str], min_df: int, max_df: float) -> str:
    """Why these texts have no term to compare them by."""
    several = len(set(texts))
    if several == 1:
        cause = f"all {len(texts)} texts are equal"
    elif not any(map(terms_of, texts)):
        cause = "no text has a word of two letters or more"
    else:
        cause = (
            f"each of their terms is in fewer than embedder.min_df={min_df} texts or in more than a share "
            f"embedder.max_df={max_df:g} of them"
        )
    return (
        f"embedder=tfidf_svd finds no vocabulary in the pool: {cause}. embedder=sentence_transformers needs "
        "none; selection=random and selection=length need no embeddings"
    )


def unit_rows(vectors: NDArray[np.float32], first: int = 0) -> Embeddings:
    """(N, d) rows brought to length 1, in float32. Raises UserError for a row that is not finite, by the
    sample's number, which is `first` for the first row.
    """
    if not np.isfinite(vectors).all():
        row = first + int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise UserError(f"the embedding of sample {row} is not finite")
    norms = np.linalg.norm(vectors, axis=1)
    empty = norms < 1e-9
    unit = vectors / np.where(empty, 1, norms)[:, None]
    unit[empty] = 1 / np.sqrt(vectors.shape[1])
    return Embeddings(np.ascontiguousarray(unit, dtype=np.float32), int(empty.sum()))
