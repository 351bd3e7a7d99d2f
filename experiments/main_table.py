"""Table 3: methods, raters and benchmarks, a table for each base model, published averages beside ours."""

from __future__ import annotations

from experiments import grid, published_cells
from experiments.result import Options, Result

SWEEP = ("main_table", "mini_table")
"""The whole experiment, and the one in miniature."""
CAPTION = "Table 3 of the paper: 10,000 of 300,932 samples, LoRA, five benchmarks."
CAPTION_MINI = (
    "Table 3 in miniature: 400 of 4,000 generated samples, a tiny base model; nothing here is comparable "
    "with the paper."
)


def run(options: Options) -> Result:
    """The grid of `sweep=main_table`, or of `sweep=mini_table`."""
    swept = grid.look(SWEEP[options.mini], options)
    if options.mini:
        return grid.result(swept, caption=CAPTION_MINI, name="main_table_mini")
    return grid.result(swept, caption=CAPTION, published=published_cells.main_table(), name="main_table")
