"""What a search is asked to compose before it runs: every choice, and what it names that nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from helpers.searching import small_search

from ds2.base.errors import UserError
from ds2.config.compose_cache import compose_all
from ds2.config.search import Confirm, Dimension, Direction, Search
from ds2.config.sweep import load_sweep
from ds2.runs import search_space
from ds2.runs.search_space import refuse_impossible


def asked_of(search: Search, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, str]]:
    """The runs that are composed, as key -> value."""
    asked = []

    def compose_one(runs: Sequence[Sequence[str]], *, memory: Path):
        asked.append(dict(override.split("=") for override in runs[0]))
        return compose_all([["experiment=mini"]], memory=memory)

    monkeypatch.setattr(search_space, "compose_all", compose_one)
    refuse_impossible(
        search, lambda chosen, rung=None, more=(): [*search.overrides(chosen, rung), *more], tmp_path
    )
    return asked


def test_every_choice_is_composed_where_it_is_made(monkeypatch, tmp_path):
    search = load_sweep("mini_search").search
    asked = asked_of(search, monkeypatch, tmp_path)
    seen = {pair for run in asked for pair in run.items()}
    assert {("selection", name) for name in search.space["selection"].choices} <= seen
    assert {("selection.diversity_weight", "0.05"), ("selection.diversity_weight", "0.4")} <= seen
    assert {("budget.samples", "100"), ("eval.data_seed", "1")} <= seen
    under = {run["selection"] for run in asked if "curation.k" in run}
    assert under == {"ds2_posterior", "ds2_without_curation", "ds2"}
    weighed = [run for run in asked if "selection.diversity_weight" in run]
    assert {run["selection.diversity"] for run in weighed} == {"long_tail"}
    assert len({tuple(run.items()) for run in asked}) == len(asked) <= 20


def test_a_choice_that_hangs_on_two_others_is_composed(monkeypatch, tmp_path):
    space = {
        "a": Dimension(choices=[1, 2]),
        "b": Dimension(choices=["x", "y"], when={"a": [2]}),
        "c": Dimension(low=3, high=9, when={"a": [1, 2], "b": ["y"]}),
        "d": Dimension(choices=[0], when={"c": [7]}),
    }
    asked = asked_of(small_search(space=space, default={"a": 1}, rungs={}), monkeypatch, tmp_path)
    assert {"a": "2", "b": "y", "c": "9"}.items() <= next(run for run in asked if run.get("c") == "9").items()
    assert any(run.get("d") == "0" and run["c"] == "7" for run in asked)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"direction": Direction.minimize}, "search.direction=minimize: of average more is better"),
        ({"metric": "nope"}, "search.metric=nope: eval=mini gives average, mini_familiar, mini_new"),
        ({"confirm": Confirm([7], ["eval=none"])}, "search.metric=average: no run would be evaluated"),
        ({"rungs": {"budget.sample": [1, 2]}}, r"search.rungs: budget.sample: no such key \(did you mean"),
        (
            {"space": {"selection": Dimension(choices=["length", "lenght"])}},
            r"search.space: selection=lenght is unknown \(did you mean length\?\)",
        ),
        (
            {
                "space": {
                    "selection": Dimension(choices=["length", "ds2"]),
                    "curation.kk": Dimension(low=4, high=20, when={"selection": ["ds2"]}),
                }
            },
            "search.space: curation.kk: no such key",
        ),
    ],
)
def test_what_nobody_knows_is_one_line(changes, says, tmp_path):
    search = small_search(**changes)

    def of(chosen, rung=None, more=()):
        return ["experiment=mini", *search.overrides(chosen, rung), *more]

    with pytest.raises(UserError, match=says) as caught:
        refuse_impossible(search, of, tmp_path)
    assert len(caught.value.lines) == 1


def test_the_search_that_comes_with_ds2_can_be_made(tmp_path):
    sweep = load_sweep("mini_search")
    search = sweep.search
    refuse_impossible(
        search,
        lambda chosen, rung=None, more=(): sweep.run(search.overrides(chosen, rung), (), more),
        tmp_path,
    )
