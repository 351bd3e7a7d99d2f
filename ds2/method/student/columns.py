"""Blocks of columns that a student learns from, on one footing.

Each block is centred and scaled to total variance 1 (columns of their own units, such as surface features,
first to one variance each), so that the ridge's one penalty treats blocks alike however many columns they
have. Trees read a wide block through its LEADING principal components: fewer and denser columns, which they
split better and in a quarter of the time (docs/truth.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.base.threads import one_blas_thread
from ds2.method.student.features import surface_features, text_vectors

Array = NDArray[np.float64]
Block = NDArray[np.float32]

LEADING = 32
_BLOCK = 8192


def make_blocks(
    embeddings: Block | None,
    texts: Sequence[str] | None,
    counts: Any | None,
    features: Array | None,
    *,
    lengths: bool,
    seed: int,
) -> dict[str, Block]:
    """Name -> (N, columns), those that do not vary left out. counts: of `count_terms`, where there are
    texts.
    """
    blocks: dict[str, Block] = {}
    if embeddings is not None:
        blocks["embeddings"] = _as_one(embeddings, each=False)
    if texts is not None:
        blocks["words"] = _as_one(text_vectors(counts, seed=seed), each=False)
        blocks["surface"] = _as_one(surface_features(texts, counts, lengths=lengths), each=True)
    if features is not None:
        blocks["features"] = _as_one(features, each=True)
    return {name: block for name, block in blocks.items() if block.shape[1]}


def for_trees(blocks: dict[str, Block]) -> Block:
    """The columns of all blocks, wide ones by their LEADING principal components, (N, columns)."""
    return np.concatenate(
        [b if b.shape[1] <= LEADING else leading(b, LEADING) for b in blocks.values()], axis=1
    )


@one_blas_thread()
def leading(x: Block, d: int) -> Block:
    """The first d principal components of centred columns, (N, d)."""
    gram = np.zeros((x.shape[1], x.shape[1]))
    for start in range(0, len(x), _BLOCK):
        rows = x[start : start + _BLOCK].astype(np.float64)
        gram += rows.T @ rows
    _, turn = np.linalg.eigh(gram)
    return np.asarray(x @ turn[:, ::-1][:, :d].astype(np.float32), dtype=np.float32)


def _as_one(x: NDArray[np.float32] | Array, *, each: bool) -> NDArray[np.float32]:
    """Centred and scaled to total variance 1; `each` first to one variance a column. Constant columns are
    dropped.
    """
    mean, spread = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    kept = spread > 1e-9 * np.maximum(np.abs(mean), 1e-3)
    if not kept.any():
        return np.zeros((len(x), 0), dtype=np.float32)
    scale = spread[kept] * np.sqrt(kept.sum()) if each else np.full(kept.sum(), np.sqrt((spread**2).sum()))
    return np.asarray((x[:, kept] - mean[kept]) / scale, dtype=np.float32)
