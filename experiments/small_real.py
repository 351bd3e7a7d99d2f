"""Ours, not the paper's: selections on a real model of 135 million parameters, at equal tokens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ds2.config.stages import CHOICES, Key
from ds2.report.answers import AVERAGE
from ds2.report.costs import spent
from ds2.report.figures.canvas import ACCENT, INK, MUTED, WARM, new_figure, set_title
from ds2.report.table import ResultTable
from ds2.report.table_rows import Row
from experiments import grid, small_real_data
from experiments.costs import mean
from experiments.result import Options, Result, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION = (
    "Loss on responses kept apart, in nats a token (less is better), of a small real model fine-tuned on "
    "each selection. Differences are to random at the same seed, with 95 % intervals (Student's, paired) "
    "over seeds and rows; over rows alone, which is said, where one seed is shared."
)


def run(options: Options) -> Result:
    """The grid of `sweep=small_real`."""
    swept = grid.look(grid.sweep_name("small_real", options, mini=None), options)
    table = swept.table()
    return Result(
        swept.sweep.title, CAPTION, [_table(table)], figures=draw(table),
        notes=[swept.sweep.note, *verdicts(table), *swept.lines()], complete=swept.complete,
    )  # fmt: skip


def prepare(options: Options) -> list[str]:
    """Write the files that the sweep reads into the store; a line on each."""
    folder = Path(options.paths.artifacts) / small_real_data.FOLDER
    return small_real_data.prepare(Path(options.paths.data), folder)


def _table(table: ResultTable) -> Table:
    """A row a selection: samples, tokens trained, and each loss with its difference."""
    tasks = [task for task in table.tasks if task != AVERAGE]
    frame, shown = [], []
    for key, row in table.by_key.items():
        labels = dict(zip(CHOICES, key, strict=True))
        line: dict[str, object] = {"selection": labels["method"], "rater": labels["rater"] or ""}
        line |= {"seeds": len(row.runs), **_sizes(row)}
        text = {name: f"{value:,}" if isinstance(value, int) else value or "" for name, value in line.items()}
        for task in tasks:
            mean, std, _ = table.cell(row, task)
            gap = table.differences.get((key, task))
            line |= {task: mean, f"{task} std": std}
            line |= {
                f"{task} {name}": gap and getattr(gap, name) for name in ("value", "low", "high", "pairs")
            }
            text[task] = row.state if mean is None else table.unit(task).shown(mean, std)
            text[f"{task}, to random"] = "" if gap is None else table.unit(task).difference(gap)
        frame.append(line)
        shown.append(text)
    text_frame = pd.DataFrame(shown, dtype=object)
    right = tuple(str(name) for name in text_frame if name not in ("selection", "rater"))
    return Table("small_real", pd.DataFrame(frame), shown=text_frame, right=right)


def _sizes(row: Row) -> dict[str, object]:
    """Samples of a subset, tokens trained on in all passes and the responses' among them, and what that costs
    by 6 N D, means over seeds; None where nothing is trained.
    """
    costs = [spent(run) for run in row.runs.values()]
    values = {
        name: mean(costs, name) if costs else None for name in ("samples", "tokens", "responses", "flops")
    }
    counts = {name: None if value is None else round(value) for name, value in values.items()}
    return {
        "samples": counts["samples"], "tokens trained": counts["tokens"],
        "of them responses": counts["responses"],
        "PFLOP": None if values["flops"] is None else round(values["flops"] / 1e15, 2),
    }  # fmt: skip


def draw(table: ResultTable) -> dict[str, Figure]:
    """Each selection's difference to random with its interval, a panel a set of rows; nothing before there
    is one.
    """
    tasks = [
        task for task in table.tasks if task != AVERAGE and any(of == task for _, of in table.differences)
    ]
    rows = [key for key in table.by_key if any((key, task) in table.differences for task in tasks)]
    if not rows:
        return {}
    size = (2.2 + 3 * len(tasks), 1.2 + 0.32 * len(rows))
    figure, axes = new_figure(*size, nrows=1, ncols=len(tasks), squeeze=False, sharey=True)
    for panel, task in zip(axes[0], tasks, strict=True):
        for place, key in enumerate(rows):
            gap = table.differences.get((key, task))
            if gap is not None:
                colour = MUTED if not gap.clear else ACCENT if gap.high < 0 else WARM
                panel.plot([gap.low, gap.high], [place, place], color=colour, linewidth=2)
                panel.plot(gap.value, place, "o", color=colour, markersize=6)
        panel.axvline(0, color=INK, linewidth=0.8)
        panel.set_xlabel("difference to random, nats a token")
        set_title(panel, task.replace("_", " "))
    axes[0][0].set_yticks(range(len(rows)), [_named(key) for key in rows])
    axes[0][0].set_ylim(len(rows) - 0.5, -0.5)
    return {"small_real": figure}


def verdicts(table: ResultTable) -> list[str]:
    """A line a task: which selections differ from random beyond the interval, and which do not."""
    lines = []
    for task in (task for task in table.tasks if task != AVERAGE):
        gaps = {key: gap for (key, of), gap in table.differences.items() if of == task}
        below = [_named(key) for key, gap in gaps.items() if gap.high < 0]
        above = [_named(key) for key, gap in gaps.items() if gap.low > 0]
        single = [_named(key) for key, gap in gaps.items() if gap.pairs == 1]
        neither = [_named(key) for key, gap in gaps.items() if not gap.clear]
        parts = [
            *([f"less loss than random: {', '.join(below)}"] if below else []),
            *([f"more: {', '.join(above)}"] if above else []),
            *([f"no verdict (the interval holds 0): {', '.join(neither)}"] if neither else []),
            *([f"by one seed, so an interval over rows alone: {', '.join(single)}"] if single else []),
        ]
        if parts:
            lines.append(f"{task}: {'; '.join(parts)}.")
    return lines


def _named(key: Key) -> str:
    labels = dict(zip(CHOICES, key, strict=True))
    return " ".join(str(part) for part in (labels["method"], labels["rater"]) if part)
