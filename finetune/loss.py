"""The loss without the logits of all tokens at once.

For n tokens y that carry the loss, the hidden states h (n, d) that predict them, and the frozen output head
W (V, d):

    loss = sum over i of  logsumexp(W h_i) - (W h_i)[y_i]
    d loss / d h_i = W' (softmax(W h_i) - e[y_i])

Both are sums over tokens, so they are found for `ROWS` tokens at a time: (ROWS, V) numbers are in memory, not
(tokens, V), of which a plain loss holds several copies. Tokens without loss never meet the head.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional

ROWS = 512
"""Tokens whose logits are in memory at a time."""
LARGE = 256 * 2**20
"""Bytes of logits, in float32, from which the plain loss is avoided."""
_IGNORED = -100
_TOLERANCE = {torch.float32: 1e-4}
"""Relative difference to the plain loss that rounding explains; 2 % for shorter types."""


class _SummedLoss(torch.autograd.Function):
    """The summed loss of hidden states (n, d) with targets (n,), and its gradient, found in one pass."""

    @staticmethod
    def forward(ctx: Any, hidden: Any, head: Any, bias: Any, targets: Any) -> Any:
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        gradient = torch.empty_like(hidden)
        for at in range(0, len(hidden), ROWS):
            part, wanted = hidden[at : at + ROWS], targets[at : at + ROWS, None]
            chances = functional.linear(part, head, bias).float()
            chances -= torch.logsumexp(chances, dim=1, keepdim=True)
            total -= chances.gather(1, wanted).sum()
            chances.exp_()
            chances.scatter_add_(1, wanted, torch.full_like(chances[:, :1], -1.0))
            gradient[at : at + ROWS] = chances.to(head.dtype) @ head
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *scale: Any) -> Any:
        (gradient,) = ctx.saved_tensors
        return gradient * scale[0].to(gradient.dtype), None, None, None


@contextmanager
def in_parts(model: Any, *, logits_bytes: int, sharded: bool, probe: Any) -> Iterator[bool]:
    """While the context is open, `model` finds its loss in parts; whether it does is given.

    It does where the logits of a device batch would be large, the output head is one plain frozen layer whose
    weights are whole on this device, and the loss of `probe` (1, tokens) is the plain one: a model that does
    more to its logits keeps the plain loss.
    """
    head = model.get_base_model().get_output_embeddings()
    plain = isinstance(head, torch.nn.Linear) and not head.weight.requires_grad
    if logits_bytes < LARGE or sharded or not plain:
        yield False
        return
    with torch.no_grad():
        before = float(model(input_ids=probe, labels=probe).loss)
    owner, forward = model.get_base_model(), head.forward
    usual = owner.loss_function

    def loss(
        logits: Any, labels: Any, vocab_size: int, num_items_in_batch: Any = None, **_: Any
    ) -> Any:  # `logits` are the hidden states, which the head let pass
        targets = functional.pad(labels, (0, 1), value=_IGNORED)[..., 1:]
        counted = targets != _IGNORED
        summed = _SummedLoss.apply(logits[counted], head.weight, head.bias, targets[counted])
        return summed / (counted.sum() if num_items_in_batch is None else num_items_in_batch)

    head.forward, owner.loss_function = (lambda hidden: hidden), loss
    try:
        with torch.no_grad():
            after = float(model(input_ids=probe, labels=probe).loss)
        allowed = _TOLERANCE.get(head.weight.dtype, 0.02) * max(abs(before), 1.0)
        same = abs(after - before) <= allowed
        if not same:
            head.forward, owner.loss_function = forward, usual
        yield same
    finally:
        head.forward, owner.loss_function = forward, usual
