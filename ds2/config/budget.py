"""The budget: how many samples are selected, or what they may take."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass

from ds2.base.errors import UserError
from ds2.config.base import MISSING, register

_UNITS = {"B": 1_000_000_000, "M": 1_000_000, "k": 1_000}


@register("budget", "budget")
@dataclass
class BudgetConfig:
    samples: float = MISSING
    """Number of samples to select, or, below 1, the share of the pool."""
    tokens: str | None = None
    """In place of `samples`: as many samples as have at most so many assistant tokens, `2M`, `500k` or a
    number, counted by the base model's tokenizer as fine-tuning sees them (template, `finetune.max_tokens`).
    However it is written, it is kept and named in one way: `20000` and `0.02M` are `20k`.
    """
    flops: float | None = None
    """In place of `samples`: as many samples as this many floating-point operations pay for, what selecting
    took (rating, embedding, graph, measuring) counted in: 2 N a token read, 6 N a token trained on in all
    `finetune.epochs`, N the model's parameters. Other fields named `flops` state what no stage can tell.
    """

    def __post_init__(self) -> None:
        with suppress(UserError):  # which `most_tokens` raises where the choices are checked, all at once
            most = self.most_tokens
            self.tokens = None if most is None else _tokens_text(most)

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
        unit = next((unit for sign, unit in _UNITS.items() if text.upper().endswith(sign.upper())), 1)
        try:
            count = round(float(text[:-1] if unit > 1 else text) * unit, 6)  # 2.01 * 1000 is a little less
        except ValueError:
            count = 0.0
        if not 1 <= count < 1e15:
            raise UserError(f"budget.tokens={text} must be a number of tokens, such as 2M, 500k or 20000")
        return int(count)


def _tokens_text(count: int) -> str:
    """A number of tokens as people write one: `2M`, `1.25k`, and with all its digits where two decimals do
    not hold it.
    """
    for sign, unit in _UNITS.items():
        if count >= unit and count % (unit // 100) == 0:
            return f"{count / unit:.15g}{sign}"
    return str(count)
