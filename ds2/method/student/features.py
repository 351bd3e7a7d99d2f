"""Columns that a student learns from: surface features of texts, and TF-IDF of their words reduced by a
truncated SVD.

With c_nt the count of term t in text n, df_t the number of texts that have it:

    A_nt    = (1 + log c_nt) (1 + log((1 + N) / (1 + df_t))),  rows scaled to length 1
    vectors = A V,  rows scaled to length 1

V are the leading right singular vectors of A, found by subspace iteration on at most FIT_ROWS rows and
applied to all: the cost is linear in the number of texts. Texts without a term get a zero row.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.base.threads import one_blas_thread
from ds2.method.student.work import side_by_side
from ds2.method.terms import UNSPACED, count_vectorizer

Array = NDArray[np.float64]

SURFACE = (
    "log characters", "log words", "log line breaks", "distinct words per word", "characters per word",
    "line breaks per word", "sentence ends per word", "digits per character", "punctuation per character",
)  # fmt: skip
OF_LENGTH = 3
"""The first so many of SURFACE are of length; the others are rates, which length does not drive by itself."""
DIMENSIONS = 128
FIT_ROWS = 20_000
"""Texts that V is found on; of a larger pool a seeded draw."""
TERMS = 30_000
"""Terms kept, the most frequent ones."""
STEPS = 4
"""Subspace iterations; a fifth changes no out-of-fold R^2 by .001."""
_BLOCK = 20_000


def count_terms(texts: Sequence[str]) -> Any:
    """Counts of every term (`ds2.method.terms`), (N, terms) csr_array float32; no column where no text has
    one.
    """
    from scipy.sparse import csr_array

    try:
        return csr_array(count_vectorizer(texts, dtype=np.float32).fit_transform(texts))
    except ValueError:  # scikit-learn's "empty vocabulary"
        return csr_array((len(texts), 0), dtype=np.float32)


def surface_features(texts: Sequence[str], counts: Any, *, lengths: bool = True) -> Array:
    """Columns named by SURFACE, (N, 9) float64; without those of length, (N, 6), where lengths is False.
    counts: of `count_terms`.
    """
    tallied = [_tally(texts[start : start + _BLOCK]) for start in range(0, len(texts), _BLOCK)]
    chars, words, lines, ends, digits, marks = (np.concatenate(c) for c in zip(*tallied, strict=True))
    tokens, distinct = np.asarray(counts.sum(axis=1)).ravel(), np.diff(counts.indptr)
    a_word, a_char = np.maximum(words, 1), np.maximum(chars, 1)
    columns = (
        np.log1p(chars), np.log1p(words), np.log1p(lines), distinct / np.maximum(tokens, 1), chars / a_word,
        lines / a_word, ends / a_word, digits / a_char, marks / a_char,
    )  # fmt: skip
    return np.stack(columns[0 if lengths else OF_LENGTH :], axis=1).astype(np.float64)


_SPACE, _BREAK, _STOP, _DIGIT, _MARK, _UNSPACED = 1, 2, 4, 8, 16, 32


@cache
def _kinds() -> NDArray[np.uint8]:
    """Bits of each code point below 65,536; what lies above is none of them."""
    table = np.zeros(65_536, dtype=np.uint8)
    for characters, bit in (
        ("\t\n\v\f\r \u00a0\u2028\u3000", _SPACE),
        ("\n", _BREAK),
        (".!?\u3002\uff01\uff1f", _STOP),
        ("0123456789", _DIGIT),
        (string.punctuation, _MARK),
    ):
        table[[ord(c) for c in characters]] |= bit
    for first, last in UNSPACED:
        table[first : last + 1] |= _UNSPACED
    return table


def _tally(texts: Sequence[str]) -> tuple[Array, ...]:
    """Characters, words, line breaks, sentence ends, digits and punctuation marks of each text, (n,) each. A
    character of a script without spaces counts as a word.
    """
    sizes = np.array([len(t) for t in texts], dtype=np.int64)
    code = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    kind = _kinds()[np.minimum(code, 65_535)]
    end = np.cumsum(sizes)
    start = end - sizes
    space = (kind & _SPACE).astype(bool)
    opens, closes = (
        np.ones(len(code), dtype=bool),
        np.ones(len(code), dtype=bool),
    )  # beside a space, or at an end
    opens[1:], closes[:-1] = space[:-1], space[1:]
    opens[start[sizes > 0]], closes[end[sizes > 0] - 1] = True, True
    stop, rest = (kind & _STOP).astype(bool), (kind & bit for bit in (_DIGIT, _MARK))
    counted = []
    for mask in ((opens & ~space) | ((kind & _UNSPACED) > 0), kind & _BREAK, stop & closes, *rest):
        so_far = np.zeros(len(code) + 1, dtype=np.int64)
        np.cumsum(mask != 0, out=so_far[1:])
        counted.append((so_far[end] - so_far[start]).astype(np.float64))
    return (sizes.astype(np.float64), *counted)


@one_blas_thread()
def text_vectors(
    counts: Any, *, dimensions: int = DIMENSIONS, min_df: int = 2, seed: int = 0
) -> NDArray[np.float32]:
    """TF-IDF reduced to `dimensions`, (N, d) float32 unit rows, zero where no term is known; fewer columns
    of a small vocabulary.

    counts: (N, terms) csr_array. min_df: texts that a term must occur in (1 in pools under 100).
    """
    from scipy.sparse import csr_array

    N = counts.shape[0]
    df = np.bincount(counts.indices, minlength=counts.shape[1])
    kept = np.flatnonzero(df >= (min_df if N >= 100 else 1))
    if len(kept) > TERMS:
        kept = np.sort(kept[np.argsort(-df[kept], kind="stable")[:TERMS]])
    if not len(kept):
        return np.zeros((N, 0), dtype=np.float32)
    A = csr_array(counts[:, kept])
    idf = (1 + np.log((1 + N) / (1 + df[kept]))).astype(np.float32)
    A.data = (1 + np.log(A.data)) * idf[A.indices]
    length = np.sqrt(np.add.reduceat(np.append(A.data**2, np.float32(0)), A.indptr[:-1]))
    length[np.diff(A.indptr) == 0] = 1  # reduceat gives an empty row its neighbour's first entry
    A.data /= np.repeat(length, np.diff(A.indptr))
    d = min(dimensions, min(A.shape) - 1)
    if d < 1:
        return np.asarray(A.toarray(), dtype=np.float32)
    return _unit(_product(A, _leading(A, d, seed)))


def _leading(A: Any, d: int, seed: int) -> NDArray[np.float32]:
    """About the d leading right singular vectors of A, (terms, d), by subspace iteration."""
    rng = np.random.default_rng([seed, 11])
    if A.shape[0] > FIT_ROWS:
        A = A[np.sort(rng.choice(A.shape[0], FIT_ROWS, replace=False))]
    A_t = A.T.tocsr()
    wide = min(d + 10, min(A.shape))
    V = rng.standard_normal((A.shape[1], wide), dtype=np.float32)
    for _ in range(STEPS):
        V, _r = np.linalg.qr(_product(A_t, _product(A, V)))
    Y = _product(A, V).astype(np.float64)
    _, turn = np.linalg.eigh(Y.T @ Y)
    return np.asarray(V @ turn[:, ::-1][:, :d].astype(np.float32), dtype=np.float32)


def _product(A: Any, V: NDArray[np.float32]) -> NDArray[np.float32]:
    """A V, by blocks of columns side by side: each entry is summed by one thread, in the order of the row."""
    parts = np.array_split(np.arange(V.shape[1]), max(1, V.shape[1] // 32))
    return np.concatenate(side_by_side(lambda p: A @ np.ascontiguousarray(V[:, p]), parts), axis=1)


def _unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x / np.where(length < 1e-9, 1, length), dtype=np.float32)
