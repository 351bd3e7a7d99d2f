"""Tables and heatmaps of a notebook."""

from __future__ import annotations

import re

from ds2.base.notebook import RAMP, heatmap, prose, shade, table


def lightness(colour: str) -> float:
    """WCAG's relative luminance."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_more_is_always_darker():
    shades = [lightness(shade(i / 50)) for i in range(51)]
    assert shades == sorted(shades, reverse=True)
    assert (shade(0.0), shade(1.0)) == (RAMP[0], RAMP[-1])


def test_numbers_can_be_read_on_every_shade():
    page = heatmap([[i / 100] for i in range(101)], row="true", column="rated")
    for ground, ink in re.findall(r"background:(#\w+);color:(#\w+)", page):
        light, dark = sorted((lightness(ground), lightness(ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ground, ink)


def test_names_are_text():
    assert "<b>" not in table(["<b>"], [["<b>"]])
    assert "<b>" not in prose("`<b>` and <b>")


def test_prose_shows_commands_as_code_and_nothing_as_nothing():
    assert prose("type `ds2 look`.") == "<p>type <code>ds2 look</code>.</p>"
    assert prose("") == ""
