"""The budget: how many samples are selected, or what they may take."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ds2.base.errors import UserError
from ds2.config.base import MISSING, register

_UNITS = {"K": 1_000, "M": 1_000_000, "B": 1_000_000_000}


@register("budget", "budget")
@dataclass
class BudgetConfig:
    samples: float = MISSING
    """Number of samples to select, or, below 1, the share of the pool."""
    tokens: str | None = None
    """In place of `samples`: as many samples as have at most so many assistant tokens, `2M`, `500k` or a
    number, counted by the base model's tokenizer as fine-tuning sees them (template, `finetune.max_tokens`).
    """
    flops: float | None = None
    """In place of `samples`: as many samples as this many floating-point operations pay for, what selecting
    took (rating, embedding, graph, measuring) counted in: 2 N a token read, 6 N a token trained on in all
    `finetune.epochs`, N the model's parameters. Other fields named `flops` state what no stage can tell.
    """

    @property
    def most_flops(self) -> float | None:
        """`flops`, checked. Raises UserError where it is no number of operations."""
        if self.flops is not None and not (1 <= self.flops < math.inf):
            raise UserError(
                f"budget.flops={self.flops:g} must be a number of floating-point operations, such as 1e18"
            )
        return self.flops

    @property
    def most_tokens(self) -> int | None:
        """`tokens` as a number. Raises UserError where it is none."""
        if self.tokens is None:
            return None
        text = str(self.tokens)
        unit = _UNITS.get(text[-1:].upper(), 1)
        try:
            count = float(text[:-1] if unit > 1 else text) * unit
        except ValueError:
            count = 0.0
        if not 1 <= count < 1e15:
            raise UserError(f"budget.tokens={text} must be a number of tokens, such as 2M, 500k or 20000")
        return int(count)
