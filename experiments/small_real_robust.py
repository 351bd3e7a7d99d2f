"""Ours, not the paper's: whether selections on a real small model keep their order under other recipes."""

from __future__ import annotations

from experiments import grid
from experiments.result import Options, Result

CAPTION = (
    "A table for each recipe of fine-tuning: loss on responses kept apart, in nats a token (less is better), "
    "of a real small model; and under how many recipes each of two selections is the better one."
)


def run(options: Options) -> Result:
    """The grid of `sweep=small_real_robust`."""
    swept = grid.look(grid.sweep_name("small_real_robust", options, mini=None), options)
    return grid.result(swept, caption=CAPTION, name="small_real_robust")
