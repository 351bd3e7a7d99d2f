"""Named grids: expanded to runs, and folded into the fewest multiruns that make exactly those that are
wanted.
"""

from __future__ import annotations

import inspect
import itertools

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from ds2.base.errors import UserError
from ds2.config import CurationMethod, RaterConfig
from ds2.config.compose import compose
from ds2.config.stages import CHOICES, key_of, stages_of
from ds2.config.sweep import Sweep, load_sweep
from ds2.method.curation.api import curate
from ds2.method.curation.detection import CONFIDENCE
from ds2.method.curation.validation import leave_one_rater_out

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


def choices(runs: list[list[str]]) -> list[str]:
    """What a run's grid chose."""
    fixed = ("tracking", "experiment")
    return [" ".join(o for o in run if not o.startswith(fixed)) for run in runs]


def test_a_sweep_s_runs_are_the_products_of_its_grids(sweep):
    runs = sweep.runs()
    assert len(runs) == 6
    assert runs[0] == ["experiment=mini", "tracking.group=s", "seed=1", "selection=a"]
    assert runs[-1] == ["experiment=mini", "tracking.group=s", "rater=x", "selection=c", "seed=2"]


def test_a_value_that_no_grid_lists_replaces_the_grid_s_own(sweep):
    runs = sweep.runs(["seed=7", "experiment=paper"])
    assert runs[0] == ["tracking.group=s", "seed=7", "selection=a", "experiment=paper"]
    assert len(runs) == 3
    assert sweep.narrowed(["seed=7"]) == ["seed=7 is in no grid: added to 2 of the 2 that choose seed"]


def test_values_that_a_grid_lists_narrow_it_and_leave_the_others_out(sweep):
    assert choices(sweep.runs(["selection=b,c", "seed=2"])) == [
        "seed=2 selection=b",
        "rater=x selection=c seed=2",
    ]
    assert choices(sweep.runs(["selection=a", "seed=1,7"])) == ["seed=1 selection=a", "seed=7 selection=a"]
    assert sweep.narrowed(["selection=a"]) == ["selection=a narrows: 1 of 2 grids stay"]
    assert sweep.narrowed(["experiment=paper", "hydra/launcher=joblib"]) == []


def test_a_number_is_the_grid_s_however_it_is_written():
    sweep = Sweep("s", grids=[{"finetune.learning_rate": [0.0005, 0.002]}, {"finetune.learning_rate": [0.1]}])
    assert choices(sweep.runs(["finetune.learning_rate=5e-4"])) == ["finetune.learning_rate=0.0005"]


def test_a_value_that_no_grid_lists_keeps_out_of_grids_made_for_another():
    less = {"selection": ["less"], "selection.target": ["t"], "seed": [1]}
    sweep = Sweep("s", grids=[*GRIDS, less])
    assert choices(sweep.runs(["selection=mine", "seed=1"])) == ["rater=x selection=mine seed=1"]
    alone = Sweep("s", grids=[GRIDS[0], less])  # no grid chooses raters: none is foreign
    assert choices(alone.runs(["selection=mine", "seed=1"])) == ["seed=1 selection=mine"]
    assert len(alone.runs(["selection=mine", "selection.target=u", "seed=1"])) == 2


def test_choices_that_no_grid_has_together_are_refused_by_name(sweep):
    with pytest.raises(UserError, match="no grid of sweep=s has selection=a rater=x$"):
        Sweep("s", grids=[{"selection": ["a"], "rater": ["y"]}, GRIDS[1]]).runs(
            ["selection=a", "rater=x", "tracking=none"]
        )


@pytest.mark.parametrize(
    ("name", "extra", "count"),
    [
        ("main_table", ["selection=ds2"], 3 * 3 * 3),
        ("mini_table", ["selection=ds2_refined", "seed=1"], 3 + 3 + 1 + 1),
        ("mini_flops", ["selection=random,length,ds2_refined", "budget.flops=1e11,2e11", "seed=1"], 3 * 2),
    ],
)
def test_methods_of_a_named_sweep_come_with_the_raters_it_gives_them(name, extra, count):
    sweep = load_sweep(name)
    runs, whole = sweep.runs(extra), sweep.runs(["seed=1"] if "seed=1" in extra else [])
    assert len(runs) == count
    assert {*map(frozenset, runs)} <= {*map(frozenset, whole)}


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


@settings(deadline=None)
@given(st.sets(st.integers(0, 5)), st.sampled_from([[], ["seed=2,7"], ["selection=a,d", "budget.samples=9"]]))
def test_multiruns_make_exactly_the_wanted_runs(wanted, extra):
    sweep = Sweep("s", overrides=["experiment=mini"], grids=GRIDS)
    runs = [run for i, run in enumerate(sweep.runs(extra)) if i in wanted]
    made = [run for command in sweep.multiruns(extra, runs) for run in expanded(command)]
    assert sorted(made) == sorted(map(tuple, runs))


def test_the_mini_table_compares_raters_and_methods_over_five_seeds():
    assert len(load_sweep("mini_table").runs()) == 5 * 2 * (5 + 3 * 4 + 1)
    with pytest.raises(UserError, match="unknown"):
        load_sweep("tiny_table")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("ablations", 54),
        ("curation_on_baselines", 42),
        ("data_scaling", 227),
        ("lima", 66),
        ("main_table", 159),
    ],
)
def test_every_rater_s_scores_are_curated_at_the_threshold_that_suits_it(name, count):
    runs = load_sweep(name).runs()
    assert len({tuple(run) for run in runs}) == len(runs) == count
    mistral = "mistral_7b" if name == "ablations" else "mistral_7b_v0_3"
    matter = ("rater", "selection", "curation", "experiment")
    seen = {tuple(o for o in run if o.startswith(matter)) for run in runs if any("rater=" in o for o in run)}
    curated = [c for c in map(compose, seen) if "curate" in stages_of(c)]
    by_rank = [c for c in curated if c.curation.method is CurationMethod.rank]
    assert {(c.rater.name, c.curation.confidence) for c in by_rank} == {
        ("gpt_4o_mini", 0.5),
        ("llama_3_1_8b", 0.4),
        (mistral, 0.5),
    }
    # Where the threshold has no say it is identity all the same, and stays what it was.
    low = {c.rater.name for c in curated if c not in by_rank and c.curation.confidence != 0.5}
    assert low == ({"llama_3_1_8b"} if name == "ablations" else set())


def test_the_default_threshold_is_the_method_s():
    assert compose([]).curation.confidence == RaterConfig().confidence == CONFIDENCE
    for function in (curate, leave_one_rater_out):
        assert inspect.signature(function).parameters["confidence"].default == CONFIDENCE
    assert compose(["selection=ds2", "rater.confidence=0.3"]).curation.confidence == 0.3
    assert (
        compose(["selection=ds2", "rater.confidence=0.3", "curation.confidence=0.6"]).curation.confidence
        == 0.6
    )


def test_real_model_and_recipes_have_the_runs_that_their_pages_say():
    assert len(load_sweep("small_real").runs()) == 23
    for name in ("robust", "small_real_robust"):
        robust = load_sweep(name)
        assert len(robust.runs()) == 5 * 3 * 9
        assert all(set(robust.recipes) <= set(grid) for grid in robust.grids)


@pytest.mark.parametrize(
    "name",
    [
        "mini_table",
        "mini_ablations",
        "mini_curation_on_baselines",
        "mini_data_scaling",
        "mini_flops",
        "robust",
    ],
)
def test_a_generated_pool_is_another_one_for_each_seed(name):
    """Else the spread over seeds, and each interval, would know of one pool."""
    of_pool = {}
    for run in load_sweep(name).runs():
        of_pool[next((choice for choice in run[::-1] if choice.startswith("pool=")), "")] = run
    for run in of_pool.values():
        config = compose(run)
        assert config.pool.seed == config.seed > 0


@pytest.mark.parametrize(
    "name", ["ablations", "curation_on_baselines", "lima", "mini_ablations", "mini_curation_on_baselines"]
)
def test_a_sweep_s_own_baselines_are_rows_of_its_table(name):
    """A name that is none is no baseline, and the differences to it are missing."""
    sweep = load_sweep(name)
    of_method = {
        tuple(o for o in run if o.startswith(("selection", "finetune."))): run for run in sweep.runs()
    }
    rows = {dict(zip(CHOICES, key_of(compose(run)), strict=True))["method"] for run in of_method.values()}
    named = {*sweep.baselines, *sweep.baselines.values()} - {"*", "", "random"}
    assert named <= rows
