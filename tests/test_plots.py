"""Figures carry the numbers they were given, and can be saved."""

from __future__ import annotations

import pytest

from ds2 import plots

MATRIX = [[0.9, 0.1], [0.25, 0.75]]


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_heatmap_prints_every_entry_and_the_prior():
    axes = plots.transition_heatmap(MATRIX, [0.3, 0.7], title="rater").axes[0]
    assert texts(axes) == ["0.90", "0.10", "0.25", "0.75"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0  (p 0.30)", "1  (p 0.70)"]


def test_bars_have_the_given_heights():
    axes = plots.score_distribution([3, 5], [4, 4]).axes[0]
    assert [bar.get_height() for bar in axes.patches] == [3, 5, 4, 4]
    axes = plots.composition(["a", "b"], [30, 10], [1, 3]).axes[0]
    assert [bar.get_height() for bar in axes.patches] == [0.75, 0.25, 0.25, 0.75]


@pytest.mark.parametrize("name", ["curve", "heatmap"])
def test_figures_are_saved_as_svg_and_png(tmp_path, name):
    figure = plots.learning_curve([1, 2], [3.0, 2.0]) if name == "curve" else plots.transition_heatmap(MATRIX)
    paths = plots.save(figure, tmp_path / name)
    assert [path.suffix for path in paths] == [".svg", ".png"]
    assert all(path.stat().st_size > 1000 for path in paths)
    assert plots.to_image(figure).size[0] > 100
