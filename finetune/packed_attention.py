"""Attention of packed rows without a mask of the whole row.

The samples that share a row start where positions are 0. Each attends to itself alone, by the same kernels as
a row of its own: for a row of n tokens in samples of m, n m pairs are looked at in place of n n.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch

NAME = "sdpa_by_sample"
_EDGES = "_sample_edges"
_LENGTHS = (7, 4, 9)
"""Tokens of the samples that the model is tried on."""
_TOLERANCE = {torch.float32: 1e-4}
"""Share of the largest logit that rounding explains; 2 % for shorter types."""


def use(model: Any, *, longest: int) -> bool:
    """Let the model attend by sample, where that comes to what its masks come to; whether it does.

    It does not where a layer attends to a window or a chunk that is shorter than the longest sample, where
    positions do not reach the layers, or where the logits of a packed row are not those of masks.
    """
    config = model.config
    limits = (getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size"))
    if any(limit is not None and limit < longest for limit in limits):
        return False
    _register()
    owner, usual = model.get_base_model(), config._attn_implementation
    lengths = [min(length, longest) for length in _LENGTHS]
    masked, together = _logits(model, lengths), _logits(model, [sum(lengths)])
    owner.set_attn_implementation(NAME)
    error, effect = ((other - masked).abs().max() for other in (_logits(model, lengths), together))
    tolerance = _TOLERANCE.get(masked.dtype, 0.02) * masked.abs().max()
    if bool(error <= torch.minimum(tolerance, 0.2 * effect)):
        return True
    owner.set_attn_implementation(usual)
    return False


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    position_ids: torch.Tensor | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """(1, tokens, heads, width) from queries, keys and values of (1, heads, tokens, width)."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    edges = (0, query.shape[2]) if position_ids is None else sample_edges(position_ids)
    parts = [
        sdpa_attention_forward(
            module, query[:, :, at:to], key[:, :, at:to], value[:, :, at:to], None, **options
        )[0]
        for at, to in pairwise(edges)
    ]
    return torch.cat(parts, dim=1), None


def sample_edges(position_ids: torch.Tensor) -> tuple[int, ...]:
    """Where the samples of a row (1, tokens) start, and the row's end; found once for all layers."""
    edges = getattr(position_ids, _EDGES, None)
    if edges is None:
        starts = (position_ids[0] == 0).nonzero()[:, 0].tolist()
        edges = (*starts, position_ids.shape[1])
        setattr(position_ids, _EDGES, edges)
    return edges


def _register() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, lambda *_, **__: None)


def _logits(model: Any, lengths: list[int]) -> torch.Tensor:
    """Of one row that samples of these lengths share."""
    positions = torch.cat([torch.arange(length) for length in lengths])[None].to(model.device)
    row = torch.arange(1, 1 + positions.shape[1], device=model.device)[None]
    training = model.training
    model.eval()
    with torch.no_grad():
        logits = model(input_ids=row, position_ids=positions).logits
    model.train(training)
    return logits
