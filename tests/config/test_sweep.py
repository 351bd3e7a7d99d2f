"""Named grids: expanded to runs, and folded into the fewest multiruns that make exactly those that are wanted."""

from __future__ import annotations

import itertools

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from ds2.base.errors import UserError
from ds2.config.sweep import Sweep, load_sweep

GRIDS = [{"seed": [1, 2], "selection": ["a", "b"]}, {"rater": ["x"], "selection": ["c"], "seed": [1, 2]}]


@pytest.fixture
def sweep() -> Sweep:
    return Sweep("s", overrides=["experiment=mini"], grids=GRIDS)


def expanded(command: list[str]) -> list[tuple[str, ...]]:
    """What Hydra makes of a multirun's arguments."""
    parser = OverridesParser.create()
    choices = []
    for override in map(parser.parse_override, command):
        values = (
            override.sweep_string_iterator()
            if override.is_sweep_override()
            else [override.get_value_element_as_str()]
        )
        choices.append([f"{override.get_key_element()}={value}" for value in values])
    return list(itertools.product(*choices))


def test_a_sweep_s_runs_are_the_products_of_its_grids(sweep):
    runs = sweep.runs()
    assert len(runs) == 6
    assert runs[0] == ["experiment=mini", "tracking.group=s", "seed=1", "selection=a"]
    assert runs[-1] == ["experiment=mini", "tracking.group=s", "rater=x", "selection=c", "seed=2"]


def test_what_a_person_adds_replaces_the_grid_s_own_choice(sweep):
    runs = sweep.runs(["seed=7", "experiment=paper"])
    assert runs[0] == ["tracking.group=s", "selection=a", "seed=7", "experiment=paper"]
    assert len(runs) == 3


def test_what_a_person_adds_may_be_swept_itself_and_launchers_are_no_part_of_a_run(sweep):
    runs = sweep.runs(["seed=7,8,9", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"])
    assert len(runs) == 9
    assert not any("hydra" in override for run in runs for override in run)
    command = sweep.multiruns(["hydra/launcher=joblib"], sweep.runs())[0]
    assert command[-1] == "hydra/launcher=joblib"


def test_a_whole_grid_is_one_multirun(sweep):
    assert sweep.multiruns([], sweep.runs()) == [
        ["experiment=mini", "tracking.group=s", "seed=1,2", "selection=a,b"],
        ["experiment=mini", "tracking.group=s", "rater=x", "selection=c", "seed=1,2"],
    ]
    assert sweep.multiruns([], []) == []


@given(st.sets(st.integers(0, 5)))
def test_multiruns_make_exactly_the_wanted_runs(wanted):
    sweep = Sweep("s", overrides=["experiment=mini"], grids=GRIDS)
    runs = [run for i, run in enumerate(sweep.runs()) if i in wanted]
    made = [run for command in sweep.multiruns([], runs) for run in expanded(command)]
    assert sorted(made) == sorted(map(tuple, runs))


def test_the_mini_table_compares_raters_and_methods_over_five_seeds():
    assert len(load_sweep("mini_table").runs()) == 5 * (4 + 3 * 3)
    with pytest.raises(UserError, match="unknown"):
        load_sweep("tiny_table")
