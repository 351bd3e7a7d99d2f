"""Costs of a sweep: what is compute-optimal once selecting counts, and what nobody can compare."""

from __future__ import annotations

from experiments.costs import Point, draw, frontier, verdict


def point(method: str, average: float, flops: float | None, budget: str = "") -> Point:
    return Point(method, budget, average, flops, 10.0, whole_seconds=flops is not None)


RANDOM = [point("random", 50.0, 1e10, "1e10 FLOPs"), point("random", 60.0, 2e10, "2e10 FLOPs")]
CHEAP = point("length", 55.0, 1.5e10)
DEAR = point("ifd", 58.0, 3e10)
BEST = point("ds2 rated", 70.0, 5e10)
ORACLE = point("oracle truth", 90.0, 1e10)
UNTOLD = point("ds2 asked", 80.0, None)
ALL = [*RANDOM, CHEAP, DEAR, BEST, ORACLE, UNTOLD]


def test_what_another_reaches_with_fewer_flops_is_not_optimal() -> None:
    assert frontier(ALL, less_is_better=False) == [RANDOM[0], CHEAP, RANDOM[1], BEST]


def test_where_less_is_better_the_frontier_goes_down() -> None:
    assert frontier(ALL, less_is_better=True) == [RANDOM[0]]
    losses = [point("random", 2.0, 1e10), point("length", 1.5, 2e10), point("ifd", 1.7, 3e10)]
    assert frontier(losses, less_is_better=True) == losses[:2]


def test_what_a_matched_budget_leaves_decides_nothing() -> None:
    matched = [point("random", 63.0, 9.9146e10), point("ds2", 81.0, 9.9204e10), point("ifd", 70.0, 9.4e10)]
    assert frontier(matched, less_is_better=False) == [matched[2], matched[1]]  # 5.5 % less is less


def test_the_verdict_names_the_optimal_the_never_optimal_and_the_unknown() -> None:
    optimal, never, untold, last = verdict(ALL, less_is_better=False)
    assert "random at 1e10 FLOPs (50 for 1e10), length (55 for 1.5e10)" in optimal
    assert "oracle" not in optimal + never
    assert never == "Never so here: ifd."
    assert untold == "Not compared, for nobody told what they took: ds2 asked."
    assert "intervals" in last


def test_nothing_is_said_of_rows_that_nobody_counted() -> None:
    assert verdict([UNTOLD, UNTOLD], less_is_better=False) == []
    assert len(draw([UNTOLD], less_is_better=False).axes) == 1


def test_the_figure_has_an_axis_of_flops_that_counts_selecting_in() -> None:
    by_flops, by_seconds = draw(ALL, less_is_better=False).axes
    assert "selecting and training" in by_flops.get_xlabel()
    drawn = {tuple(line.get_xdata()) for line in by_flops.lines}
    assert {(1e10,), (5e10,)} <= drawn
    drawn = [line for line in by_seconds.lines if len(line.get_xdata()) == 1 and line.get_marker() != "None"]
    assert len(drawn) == len(ALL)


def test_each_method_is_told_from_the_others_and_named_outside_the_panels() -> None:
    methods = dict.fromkeys(each.method for each in ALL)
    figure = draw(ALL, less_is_better=False)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(methods)
    assert len({(line.get_color(), line.get_marker()) for line in legend.get_lines()}) == len(methods)
    figure.canvas.draw()
    panels = [axes.get_window_extent() for axes in figure.axes]
    assert not any(legend.get_window_extent().overlaps(panel) for panel in panels)
    assert not any(axes.texts for axes in figure.axes)
