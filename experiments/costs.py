"""What the runs of a sweep cost beside what they came to: which of samples, tokens and operations were equal,
and whether a selection is worth what it takes (after arXiv 2410.16208).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from ds2.base.words import duration
from ds2.config.stages import CHOICES, Key
from ds2.report.answers import AVERAGE
from ds2.report.costs import Spent, spent
from ds2.report.figures.canvas import ACCENT, INK, WARM, new_figure
from ds2.report.table import ResultTable
from experiments import grid
from experiments.result import Options, Result, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION = (
    "Costs beside the average, means over seeds. Training counts 6 N D operations. Selection is the wall "
    "time of all stages before training, on the machines that computed them, also where a run reused them; "
    "'and' names what is not known and not in it."
)
NUMBERS = ("samples", "tokens", "responses", "flops", "selection_seconds", "training_seconds", "dollars")


def run(name: str, options: Options) -> Result:
    """The costs of a sweep's finished runs."""
    swept = grid.look(name, options)
    table = swept.table()
    rows = {
        key: costs for key, row in table.by_key.items() if (costs := [spent(r) for r in row.runs.values()])
    }
    return Result(
        f"Costs of {swept.sweep.title or name}", CAPTION, [_table(table, rows)] if rows else [],
        figures={"costs": draw(table, rows)} if rows else {},
        notes=swept.lines(), complete=swept.complete,
    )  # fmt: skip


def mean(costs: Sequence[Spent], name: str) -> float | None:
    """Over the runs of a row; None where one of them does not know it."""
    values = [getattr(cost, name) for cost in costs]
    return None if None in values else sum(values) / len(values)


def _table(table: ResultTable, rows: dict[Key, list[Spent]]) -> Table:
    frame, text = [], []
    for key, costs in rows.items():
        labels = {name: value or "" for name, value in zip(CHOICES, key, strict=True)}
        number = {name: mean(costs, name) for name in NUMBERS}
        unknown = ", ".join(dict.fromkeys(name for cost in costs for name in cost.unknown))
        value, std, _ = table.cell(table.by_key[key], AVERAGE)
        frame.append({**labels, **number, "unknown": unknown, "average": value})
        text.append({
            "method": labels["method"], "rater": labels["rater"],
            "samples": _count(number["samples"]), "tokens trained": _count(number["tokens"]),
            "responses": _count(number["responses"]),
            "PFLOP": "" if number["flops"] is None else f"{number['flops'] / 1e15:.3g}",
            "selection": _selection(number, unknown),
            "training": duration(number["training_seconds"]) if number["tokens"] is not None else "",
            "dollars": "unknown" if number["dollars"] is None else f"{number['dollars']:.2f}",
            "average": "" if value is None else table.unit(AVERAGE).shown(value, std),
        })  # fmt: skip
    shown = pd.DataFrame(text, dtype=object)
    return Table("costs", pd.DataFrame(frame), shown=shown, right=tuple(shown.columns[2:]))


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _selection(number: Mapping[str, float | None], unknown: str) -> str:
    if number["samples"] is None:
        return ""  # the base model: nothing is selected
    known = duration(number["selection_seconds"])
    return f"{known} and {unknown}" if unknown else known


def draw(table: ResultTable, rows: dict[Key, list[Spent]]) -> Figure:
    """Average against seconds of selection and training together; hollow where a part is not known, so that
    the point belongs further to the right.
    """
    figure, panel = new_figure(6.4, 4.2)
    for key, costs in rows.items():
        value, _, _ = table.cell(table.by_key[key], AVERAGE)
        seconds = [mean(costs, name) or 0.0 for name in ("selection_seconds", "training_seconds")]
        if value is None or not sum(seconds):
            continue  # the base model costs nothing
        lacks = any(cost.unknown for cost in costs)
        labels = dict(zip(CHOICES, key, strict=True))
        colour = WARM if lacks else ACCENT
        panel.plot(sum(seconds), value, "o", color=colour, markerfacecolor="none" if lacks else colour)
        said = " ".join(str(part) for part in (labels["method"], labels["rater"]) if part)
        panel.annotate(
            said, (sum(seconds), value), xytext=(5, 3), textcoords="offset points", fontsize=8, color=INK
        )
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_formatter("{x:g}")
    panel.set_xlabel("seconds of selection and training (hollow: without what is not known)")
    unit = table.unit(AVERAGE)
    panel.set_ylabel("average, nats a token: less is better" if unit.less_is_better else "average, points")
    return figure
