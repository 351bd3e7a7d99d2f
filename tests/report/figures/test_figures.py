"""Figures carry the numbers they were given, and can be saved."""

from __future__ import annotations

import pytest
from helpers.planted_panel import planted_account

from ds2.method.panel_account import priced
from ds2.report import figures as plots

MATRIX = [[0.9, 0.1], [0.25, 0.75]]


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_heatmap_prints_every_entry_and_the_prior():
    axes = plots.transition_heatmap(MATRIX, [0.3, 0.7], title="rater").axes[0]
    assert texts(axes) == ["0.90", "0.10", "0.25", "0.75"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0  (p 0.30)", "1  (p 0.70)"]


@pytest.mark.parametrize("entry", [float("nan"), -0.1])
def test_a_matrix_that_holds_no_shares_is_refused(entry):
    with pytest.raises(ValueError, match="NaN, infinite or negative"):
        plots.transition_heatmap([[entry, 1.0], [0.5, 0.5]])


def test_bars_have_the_given_heights():
    axes = plots.score_distribution([3, 5], [4, 4]).axes[0]
    assert [bar.get_height() for bar in axes.patches] == [3, 5, 4, 4]
    axes = plots.category_shares(["a", "b"], [30, 10], [1, 3]).axes[0]
    assert [bar.get_height() for bar in axes.patches] == [0.75, 0.25, 0.25, 0.75]


def test_words_of_data_are_no_formulas():
    figure = plots.category_shares(["a $x^$ b", "c"], [3, 1], [1, 1], title="$\\nope$")
    figure.canvas.draw()  # a formula of this kind cannot be drawn
    axes = figure.axes[0]
    assert (axes.get_xticklabels()[0].get_text(), axes.get_title("left")) == ("a $x^$ b", "$\\nope$")


def test_control_codes_in_words_of_data_are_spelt_out(recwarn):
    figure = plots.category_shares(["a\x1b[2J", "c"], [3, 1], [1, 1], title="\x07")
    figure.canvas.draw()
    axes = figure.axes[0]
    assert (axes.get_xticklabels()[0].get_text(), axes.get_title("left")) == ("a\\x1b[2J", "\\x07")
    assert not recwarn.list  # of a glyph that no font has, which would reach the terminal raw


def test_a_panel_shows_each_loading_and_what_each_next_rater_adds_and_costs():
    account = planted_account()
    left, right = plots.panel_worth(account).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["good", "fair", "twin", "noise"]
    dots = [line.get_xdata()[0] for line in left.lines if line.get_marker() == "o"]
    assert dots == [rater.loading for rater in account.raters]
    assert list(right.lines[0].get_ydata()) == [step.reliability for step in account.order]
    assert texts(right)[:-1] == [f"{step.gain:+.3f}" for step in account.order[1:]]
    dear = priced(account, {rater.name: 2.0 for rater in account.raters})
    right = plots.panel_worth(dear).axes[1]
    assert right.get_xticklabels()[-1].get_text() == f"+ {dear.order[-1].rater}\n$8.00"


@pytest.mark.parametrize("name", ["curve", "heatmap"])
def test_figures_are_saved_as_svg_and_png(tmp_path, name):
    figure = plots.learning_curve([1, 2], [3.0, 2.0]) if name == "curve" else plots.transition_heatmap(MATRIX)
    paths = plots.save(figure, tmp_path / name)
    assert [path.suffix for path in paths] == [".svg", ".png"]
    assert all(path.stat().st_size > 1000 for path in paths)
    assert plots.to_image(figure).size[0] > 100


def test_a_flow_shows_every_way_that_a_sample_took_unrated_ones_too():
    axes = plots.score_flow([0, 0, 1, 1, 2, -1], [0, 1, 1, 1, 2, 2], 3).axes[0]
    bands = {patch.get_gid() for patch in axes.patches if (patch.get_gid() or "").startswith("flow-")}
    assert bands == {"flow-0-0", "flow-0-1", "flow-1-1", "flow-2-2", "flow-unrated-2"}
    key = [text.get_text() for text in axes.get_legend().get_texts()]
    assert key == ["raised 1 (17%)", "kept 4 (67%)", "filled in 1 (17%)"]
    with pytest.raises(ValueError, match="given"):
        plots.score_flow([0, 1], [0], 2)


def test_a_thin_band_of_a_flow_keeps_its_colour():
    axes = plots.score_flow([0] * 999 + [1], [0] * 998 + [1, 1], 2).axes[0]
    bands = {patch.get_gid(): patch for patch in axes.patches}
    assert bands["flow-0-1"].get_edgecolor() == bands["flow-0-1"].get_facecolor()
    assert bands["flow-0-0"].get_edgecolor() != bands["flow-0-0"].get_facecolor()


def test_a_confidence_histogram_holds_every_sample():
    axes = plots.confidence_histogram([0.05, 0.95, 0.96, 0.97], [True, False, False, True]).axes[0]
    assert sum(patch.get_height() for patch in axes.patches) == 4
    assert "curated" in axes.get_xlabel()
    assert "suggested" in plots.confidence_histogram([0.5], of="suggested").axes[0].get_xlabel()
    with pytest.raises(ValueError, match="confidence"):
        plots.confidence_histogram([1.5], [True])


def test_the_long_tail_is_drawn_for_each_score():
    figure = plots.long_tail_by_score([0.1, 0.2, 0.3, 0.15], [0, 0, 1, 1], 2)
    shown = " ".join(text for axes in figure.axes for text in texts(axes))
    assert shown.count("2 samples") == 2


def test_reliability_says_how_far_the_confidence_is_off():
    figure = plots.reliability({"pool": ([0.9] * 10, [True] * 6 + [False] * 4)})
    titles = [axes.get_title(loc=place) for axes in figure.axes for place in ("center", "left")]
    shown = " ".join([*(t for axes in figure.axes for t in texts(axes)), *titles])
    assert "said 0.90" in shown
    assert "right 0.60" in shown


def test_stability_is_drawn_beside_chance():
    axes = plots.stability_curve([10, 50], {"rank": [0.7, 0.9], "posterior": [0.8, 0.95]}, 100).axes[0]
    assert {"0.70", "0.90", "0.80", "0.95"} <= set(texts(axes))
    four = plots.stability_curve([10, 50], {name: [0.7, 0.9] for name in "abcd"}, 100).axes[0]
    assert [text.get_text() for text in four.get_legend().get_texts()] == list("abcd")
    assert texts(four) == ["two random subsets"]
    with pytest.raises(ValueError, match="1 to 4 curves, got 5"):
        plots.stability_curve([10, 50], {name: [0.7, 0.9] for name in "abcde"}, 100)
    with pytest.raises(ValueError, match="budgets"):
        plots.stability_curve([0, 50], {"rank": [0.7, 0.9]}, 100)
