"""Attention kernels that serve rows of every length alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def attention_of_any_length() -> Iterator[None]:
    """torch's attention without cuDNN's kernels, for the time inside.

    cuDNN makes a plan for each length that it has not seen, in tenths of a second, and torch asks it first on
    recent cards; here nearly every row or batch has a length of its own. The other kernels make none.
    Afterwards the choice is as it was: it is the process's, and a notebook's own model may want another.
    """
    import torch

    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)
