"""What the runs of a sweep cost beside what they came to: which of samples, tokens and FLOPs were equal, and
whether a selection is worth what it takes (after arXiv 2410.16208).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pandas as pd

from ds2.base.words import duration
from ds2.config.stages import CHOICES, Key, flops_text
from ds2.report.answers import AVERAGE
from ds2.report.choices import word
from ds2.report.costs import Spent, spent
from ds2.report.figures.canvas import ACCENT, INK, MUTED, SOFT, WARM, new_figure
from ds2.report.table import ResultTable
from experiments import grid
from experiments.result import Options, Result, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION = (
    "Costs beside the average, means over seeds. FLOPs: 2 N a token that a model reads, 6 N a token that it "
    "trains on (docs/budgets.md). Selection is all stages before training; its seconds are the wall time on "
    "the machines that computed them, also where a run reused them; 'without' names what is not known "
    "and not in it."
)
NUMBERS = (
    "samples", "tokens", "responses", "selection_flops", "flops", "all_flops", "selection_seconds",
    "training_seconds", "dollars",
)  # fmt: skip
RATED, UNRATED = (ACCENT, "#5aa9dd", "#6a51a3", "#3f9b4f"), (WARM, "#b23a48", "#8a6d1b", "#d16ba5")
"""Colours of methods with a rater, and of those without; each with a marker of its own too."""
MARKERS = "os^DvPX"
ALIKE = 0.05
"""By which share FLOPs may differ and count as the same."""
BY_THE_TRUTH = "oracle"
"""Goes by what no selection knows: drawn, and no rival for the least compute."""


def run(name: str, options: Options) -> Result:
    """The costs of a sweep's finished runs."""
    swept = grid.look(name, options)
    tables = swept.tables()
    rows = rows_of(tables)
    points, unit = points_of(rows), next(iter(tables.values())).unit(AVERAGE)
    return Result(
        f"Costs of {swept.sweep.title or name}", CAPTION, [_table(rows)] if rows else [],
        figures={"costs": draw(points, less_is_better=unit.less_is_better)} if points else {},
        notes=[*verdict(points, less_is_better=unit.less_is_better), *swept.lines()], complete=swept.complete,
    )  # fmt: skip


@dataclass(frozen=True)
class CostRow:
    """A row of a sweep's table that has runs."""

    recipe: str
    """Of fine-tuning, as typed; empty where the sweep compares none."""
    table: ResultTable
    key: Key
    costs: Sequence[Spent]

    @property
    def average(self) -> tuple[float | None, float | None]:
        """Over tasks: mean and standard deviation over seeds."""
        value, std, _ = self.table.cell(self.table.by_key[self.key], AVERAGE)
        return value, std

    @property
    def recipe_in_short(self) -> str:
        """Without the groups of its keys: `max_steps=40`."""
        words = (each.partition("=") for each in self.recipe.split())
        return " ".join(f"{key.rpartition('.')[2]}={value}" for key, _, value in words)


def rows_of(tables: Mapping[str, ResultTable]) -> list[CostRow]:
    """The rows that have runs; those of one method together, under each recipe."""
    rows = [
        CostRow(recipe, table, key, [spent(run) for run in row.runs.values()])
        for recipe, table in tables.items()
        for key, row in table.by_key.items()
        if row.runs
    ]
    places = {key: place for place, key in enumerate(dict.fromkeys(row.key for row in rows))}
    return sorted(rows, key=lambda row: places[row.key])


def mean(costs: Sequence[Spent], name: str) -> float | None:
    """Over the runs of a row; None where one of them does not know it."""
    values = [getattr(cost, name) for cost in costs]
    return None if None in values else sum(values) / len(values)


def _table(rows: Sequence[CostRow]) -> Table:
    frame, text = [], []
    several = len({_labels(row.key)["budget"] for row in rows} - {None}) > 1
    recipes = any(row.recipe for row in rows)
    for row in rows:
        labels = {name: value or "" for name, value in _labels(row.key).items()}
        number = {name: mean(row.costs, name) for name in NUMBERS}
        unknown, uncounted = (
            ", ".join(dict.fromkeys(stage for cost in row.costs for stage in getattr(cost, name)))
            for name in ("unknown", "uncounted")
        )
        value, std = row.average
        frame.append({
            **labels, **({"recipe": row.recipe} if recipes else {}), **number, "unknown": unknown,
            "uncounted": uncounted, "average": value,
        })  # fmt: skip
        text.append({
            "method": labels["method"], "rater": labels["rater"],
            **({"recipe": row.recipe_in_short} if recipes else {}),
            **({"budget": _budget(row.key)} if several else {}),
            "samples": _count(number["samples"]), "tokens trained": _count(number["tokens"]),
            "responses": _count(number["responses"]),
            "FLOPs selection": f"not known: {uncounted}" if uncounted else _flops(number["selection_flops"]),
            "FLOPs training": _flops(number["flops"]), "FLOPs both": _flops(number["all_flops"]),
            "time selection": _selection(number, unknown),
            "time training": duration(number["training_seconds"]) if number["tokens"] is not None else "",
            "dollars": "unknown" if number["dollars"] is None else f"{number['dollars']:.2f}",
            "average": "" if value is None else row.table.unit(AVERAGE).shown(value, std),
        })  # fmt: skip
    shown = pd.DataFrame(text, dtype=object)
    right = tuple(name for name in map(str, shown) if name not in ("method", "rater", "recipe"))
    return Table("costs", pd.DataFrame(frame), shown=shown, right=right)


def _labels(key: Key) -> dict[str, Any]:
    return dict(zip(CHOICES, key, strict=True))


def _budget(key: Key) -> str:
    budget = _labels(key)["budget"]
    return "" if budget is None else word("budget", budget)


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _flops(value: float | None) -> str:
    return "" if value is None else "0" if value == 0 else flops_text(value, 3)


def _selection(number: Mapping[str, float | None], unknown: str) -> str:
    if number["samples"] is None:
        return ""  # the base model: nothing is selected
    known = duration(number["selection_seconds"])
    return f"{known} without {unknown}" if unknown else known


@dataclass(frozen=True)
class Point:
    """A row of the table: what it came to, and what selecting and training took together."""

    method: str
    """With the rater."""
    budget: str
    average: float
    flops: float | None
    """None: a part of it is not known."""
    seconds: float
    whole_seconds: bool
    """Whether no part of them is missing."""
    recipe: str = ""
    spread: float | None = None
    """Standard deviation of the average over seeds."""

    @property
    def name(self) -> str:
        """Method and budget, and the recipe of fine-tuning where that was varied."""
        named = f"{self.method} at {self.budget}" if self.budget else self.method
        return f"{named} ({self.recipe})" if self.recipe else named


def points_of(rows: Sequence[CostRow]) -> list[Point]:
    """The rows that trained and have an average, in their order."""
    points = []
    for row in rows:
        value, std = row.average
        seconds = sum(mean(row.costs, name) or 0.0 for name in ("selection_seconds", "training_seconds"))
        if value is None or any(cost.tokens is None for cost in row.costs):
            continue  # the base model costs nothing
        labels = _labels(row.key)
        method = " ".join(str(labels[name]) for name in ("method", "rater") if labels[name])
        whole = not any(cost.unknown for cost in row.costs)
        flops = mean(row.costs, "all_flops")
        points.append(Point(method, _budget(row.key), value, flops, seconds, whole, row.recipe_in_short, std))
    return points


def frontier(points: Sequence[Point], *, less_is_better: bool) -> list[Point]:
    """Those that no other betters with as few FLOPs, cheapest first: what a matched budget leaves is chance,
    and costs within `ALIKE` are one. The oracle and what is not counted are no rivals.
    """
    sign = -1 if less_is_better else 1
    rivals = [(p.flops, sign * p.average, p) for p in points if p.flops is not None and not _by_the_truth(p)]

    def bettered(flops: float, average: float) -> bool:
        return any(
            (other > average and cost <= (1 + ALIKE) * flops) or (other == average and cost < flops)
            for cost, other, _ in rivals
        )

    best = [(flops, average, point) for flops, average, point in rivals if not bettered(flops, average)]
    return [point for *_, point in sorted(best, key=lambda each: each[:2])]


def _by_the_truth(point: Point) -> bool:
    return point.method.split()[0] == BY_THE_TRUTH


def verdict(points: Sequence[Point], *, less_is_better: bool) -> list[str]:
    """Which rows are compute-optimal, which methods never are, and of which nobody can tell."""
    best = frontier(points, less_is_better=less_is_better)
    if len(points) < 2 or not best:
        return []
    on = ", ".join(f"{point.name} ({point.average:.3g} for {_flops(point.flops)})" for point in best)
    counted = dict.fromkeys(p.method for p in points if p.flops is not None and not _by_the_truth(p))
    never = [method for method in counted if all(point.method != method for point in best)]
    untold = dict.fromkeys(point.method for point in points if point.flops is None)
    return [
        "Compute-optimal, selecting counted in (no other row has a better mean for as few FLOPs, of which a "
        f"difference of up to {100 * ALIKE:.0f} % is none): {on}.",
        *([f"Never so here: {', '.join(never)}."] if never else []),
        *([f"Not compared, for nobody told what they took: {', '.join(untold)}."] if untold else []),
        "These are means over seeds: whether two of them differ, the intervals of the sweep's own table say.",
    ]


def draw(points: Sequence[Point], *, less_is_better: bool) -> Figure:
    """Average against the FLOPs, and against the seconds, of selecting and training together; one method's
    budgets joined, what is compute-optimal stepped through, hollow where a part is not known, so that the
    point belongs further to the right.
    """
    what = "average, nats a token: less is better" if less_is_better else "average, points"
    what += " (bars: standard deviation over seeds)"
    counted = [point for point in points if point.flops is not None]
    figure, panels = new_figure(6.4 * (1 + bool(counted)), 5.0, ncols=1 + bool(counted), squeeze=False)
    panels, styles = list(panels[0]), _styles(points)
    if counted:
        panel = panels.pop(0)
        best = frontier(points, less_is_better=less_is_better)
        panel.step(
            [point.flops for point in best], [point.average for point in best], where="post", color=MUTED,
            linewidth=4, alpha=0.5, zorder=0, label="compute-optimal",
        )  # fmt: skip
        panel.legend(loc="best", frameon=False, fontsize=8, labelcolor=SOFT)
        _scatter(panel, counted, [point.flops or 0.0 for point in counted], [True] * len(counted), styles)
        panel.set_xlabel("FLOPs of selecting and training (counted, docs/budgets.md)")
        panel.set_ylabel(what)
    _scatter(panels[0], points, [p.seconds for p in points], [p.whole_seconds for p in points], styles)
    panels[0].set_xlabel("seconds of selecting and training (hollow: without what is not known)")
    panels[0].set_ylabel(what)
    keys = [
        panels[0].plot([], [], marker=marker, color=colour, linewidth=0.8, label=method)[0]
        for method, (colour, marker) in styles.items()
    ]
    figure.legend(
        handles=keys, loc="outside lower center", ncols=4, frameon=False, fontsize=8.5, labelcolor=INK
    )
    return figure


def _styles(points: Sequence[Point]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each method, the same in both panels."""
    styles: dict[str, tuple[str, str]] = {}
    used = {RATED: 0, UNRATED: 0}
    for point in points:
        if point.method in styles:
            continue
        colours = RATED if " " in point.method else UNRATED
        number, used[colours] = used[colours], used[colours] + 1
        colour = MUTED if _by_the_truth(point) else colours[number % len(colours)]
        styles[point.method] = colour, MARKERS[number % len(MARKERS)]
    return styles


def _scatter(
    panel: Any, points: Sequence[Point], x: Sequence[float], whole: Sequence[bool],
    styles: Mapping[str, tuple[str, str]],
) -> None:  # fmt: skip
    """The points of each method, its budgets joined."""
    for method, group in groupby(range(len(points)), key=lambda place: points[place].method):
        places = list(group)
        colour, marker = styles[method]
        xs, ys = [x[place] for place in places], [points[place].average for place in places]
        if not any(points[place].recipe for place in places):  # recipes stand in no order
            panel.plot(xs, ys, "-", color=colour, linewidth=0.8, alpha=0.6)
        for place in places:
            face = colour if whole[place] else "none"
            panel.errorbar(
                x[place], points[place].average, points[place].spread, fmt=marker, color=colour,
                markerfacecolor=face, elinewidth=0.8, capsize=2,
            )  # fmt: skip
    panel.set_xscale("log")
    _readable_ticks(panel, x)
    panel.tick_params(which="both", labelsize=8)
    panel.margins(x=0.08)


def _readable_ticks(panel: Any, x: Sequence[float]) -> None:
    """Numbers at 1, 2 and 5 of each decade; rows of nearly one cost stand together in a wider frame."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = min(x), max(x)
    if 0 < high < 4 * low:
        middle = (low * high) ** 0.5
        panel.set_xlim(middle / 2, middle * 2)
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.3g}".replace("e+", "e")))
    panel.xaxis.set_minor_formatter(NullFormatter())
