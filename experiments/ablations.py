"""Ours, not the paper's: what curation, diversity, the posterior, several raters, cleaned tokens give."""

from __future__ import annotations

from experiments import grid
from experiments.result import Options, Result

CAPTION = (
    "Each part of the method left out or replaced; differences are to the whole of the paper's method with "
    "the same rater."
)


def run(options: Options) -> Result:
    """The grid of `sweep=ablations`, or of `sweep=mini_ablations`."""
    runs = grid.look(grid.sweep_name("ablations", options, mini="mini_ablations"), options)
    return grid.result(runs, caption=CAPTION, name="ablations")
