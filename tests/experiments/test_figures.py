"""Figures of experiments with planted numbers: said once, nothing over anything else, none where there is
nothing to draw.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from experiments import data_scaling, lima, published, rater_gap, selection_stability
from experiments.real_data import PAIRS, RATERS
from experiments.result import Options


def every_text(figure) -> list[str]:
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text)]


def boxes(figure, *labels: str) -> list:
    """Where these texts stand once all is laid out, in pixels."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    labelled = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_text() in labels)
    return [text.get_window_extent() for text in labelled]


def test_before_anything_is_done_there_is_no_curve_to_draw(tmp_path):
    options = [f"paths.artifacts={tmp_path}", "runtime.progress=false"]
    assert data_scaling.run(Options(options, mini=True)).figures == {}


@pytest.mark.parametrize(
    ("budgets", "label", "ticks"),
    [
        ([0.025, 0.4], "share of the pool selected", ["2.5 %", "40 %"]),
        ([2500, 40000], "samples selected", ["2.5k", "40k"]),
    ],
)
def test_the_axis_of_budgets_says_shares_or_samples(budgets, label, ticks):
    curve = {"method": "random", "rater": None, "mean": 50.0, "std": 1.0, "origin": "ours"}
    axes = data_scaling.draw(pd.DataFrame([curve | {"budget": budget} for budget in budgets])).axes[0]
    assert axes.get_xlabel() == label
    assert [text.get_text() for text in axes.get_xticklabels()] == ticks


def test_the_judge_s_panels_say_what_is_whose_once_and_leave_the_width_to_the_bars():
    rates = lima.judged([])
    rates.loc[:20, ["win", "tie", "loss"]] = [50.0, 20.0, 30.0]
    rates.loc[:20, "seeds"] = 3
    figure = lima.draw(rates)
    told = every_text(figure)
    assert sum("Pale: the paper's; strong: ours" in text for text in told) == 1
    models = set(rates["base_model"])
    assert sorted(text for text in told if text in models) == sorted(models)
    figure.draw_without_rendering()
    assert sum(axes.get_position().width for axes in figure.axes[:3]) > 0.7


def test_an_unjudged_figure_says_so():
    assert any("none is judged yet" in text for text in every_text(lima.draw(lima.judged([]))))


def test_the_label_of_the_wider_gap_stays_inside_its_panel():
    gaps = rater_gap.gap_table(published.read("data_scaling"))
    pairs = [dict(zip(("first", "second"), pair, strict=True)) for pair in PAIRS]
    kappas = pd.DataFrame(
        [
            {"scores": v, "kappa": 0.2, "low": 0.1, "high": 0.3} | pair
            for v in rater_gap.VERSIONS
            for pair in pairs
        ]
    )
    spreads = pd.DataFrame(
        [{"scores": v, "spread": i, "share": 0.2} for v in rater_gap.VERSIONS for i in range(6)]
    )
    figure = rater_gap.draw(gaps, kappas, spreads, "planted")
    (label,) = boxes(figure, "without curation")
    assert label.y1 < figure.axes[0].get_window_extent().y1


def test_the_first_overlaps_stand_beside_the_axis_and_not_on_it():
    shares = np.array([0.03, 0.1, 0.2, 0.33, 0.5])
    rows = [
        {"rater": rater, "method": method, "budget": int(6000 * share), "share": share, "overlap": overlap}
        for rater in RATERS
        for method, overlap in (("rank", 0.864), ("posterior", 0.951))
        for share in shares
    ]
    figure = selection_stability.draw(pd.DataFrame(rows), "planted")
    for axes in figure.axes:
        first = [text for text in axes.texts if getattr(text, "xy", (1,))[0] == shares[0]]
        figure.draw_without_rendering()
        assert len(first) == 2
        assert all(text.get_window_extent().x0 > axes.get_window_extent().x0 + 8 for text in first)
