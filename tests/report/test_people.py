"""The paper's method is told from its ablations and from other curations; what people say is beside it."""

from __future__ import annotations

import pytest

from ds2.config.compose import compose
from ds2.report.people import people_say


@pytest.mark.parametrize("overrides", ["experiment=paper", "selection=ds2", "experiment=mini selection=ds2"])
def test_the_paper_s_method_is_told_what_people_say_in_one_line(overrides):
    (line,) = people_say([compose(overrides.split())])
    assert "0.37 sd above the mean" in line
    assert "docs/truth.md" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    "overrides",
    ["", "selection=ds2_posterior", "selection=ds2_without_curation", "selection=random",
     "selection=ds2_without_diversity", "selection=ds2 until=embed"],
)  # fmt: skip
def test_other_methods_are_not(overrides):
    assert people_say([compose(overrides.split())]) == []


def test_a_sweep_says_it_once():
    runs = [compose(["selection=ds2", f"seed={seed}"]) for seed in (1, 2)]
    assert len(people_say([*runs, compose([])])) == 1
