"""Exact nearest neighbours with torch: the path of `knn_graph(device="cuda")`.

Similarities are computed for a block of queries against a block of the base at a time in full float32 and
merged into a running top-k, so memory is bounded by one block whatever N is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import UserError

QUERIES = 4096
BASE = 65536


def search_torch(
    queries: NDArray[np.float32], base: NDArray[np.float32], k: int, *, device: str
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The k rows of `base` nearest to each query, (n, k) indices and 1 - cosine, ascending."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device='cuda' was asked for but torch sees no CUDA device; use device='cpu'")
    exact = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False  # TF32 would reorder neighbours closer than 1e-3
    try:
        x = torch.from_numpy(base).to(device)
        near = np.empty((len(queries), k), dtype=np.int32)
        dist = np.empty((len(queries), k), dtype=np.float32)
        for start in range(0, len(queries), QUERIES):
            rows = torch.from_numpy(queries[start : start + QUERIES]).to(device)
            top, ids = _top_of_blocks(torch, rows, x, k)
            near[start : start + QUERIES] = ids.to(torch.int32).cpu().numpy()
            dist[start : start + QUERIES] = (1.0 - top).clamp_min_(0).cpu().numpy()
    finally:
        torch.backends.cuda.matmul.allow_tf32 = exact
    return near, dist


def _top_of_blocks(torch: Any, rows: Any, x: Any, k: int) -> tuple[Any, Any]:
    top, ids = None, None
    for start in range(0, len(x), BASE):
        block = rows @ x[start : start + BASE].T
        values, index = block.topk(min(k, block.shape[1]), dim=1)
        index = index + start
        if top is not None:
            values, index = torch.cat([top, values], 1), torch.cat([ids, index], 1)
            values, order = values.topk(min(k, values.shape[1]), dim=1)
            index = index.gather(1, order)
        top, ids = values, index
    return top, ids
