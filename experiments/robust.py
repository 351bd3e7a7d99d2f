"""Ours, not the paper's: whether methods keep their order when the recipe of fine-tuning changes."""

from __future__ import annotations

from experiments import grid
from experiments.result import Options, Result

CAPTION = (
    "A table for each recipe of fine-tuning, in the miniature, and under how many of them each of two "
    "methods is the better one."
)


def run(options: Options) -> Result:
    """The grid of `sweep=robust`."""
    swept = grid.look(grid.sweep_name("robust", options, mini=None), options)
    return grid.result(swept, caption=CAPTION, name="robust")
