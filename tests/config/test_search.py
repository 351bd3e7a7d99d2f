"""The search of a sweep's YAML: what it may say, what the command line adds, what overrides it gives."""

from __future__ import annotations

import pytest
from helpers.searching import small_search

from ds2.base.errors import UserError
from ds2.config.search import Dimension
from ds2.config.sweep import load_sweep


def test_a_choice_is_made_only_where_an_earlier_one_asks_for_it():
    search = small_search()
    assert not search.space["curation.k"].applies({"selection": "length"})
    assert search.space["curation.k"].applies({"selection": "ds2"})


def test_the_last_rung_is_the_run_that_is_asked_for():
    search = small_search(rungs={"budget.samples": [10, 40], "eval.limit": [5, 50]})
    assert search.overrides({"selection": "ds2", "curation.k": 7}) == [
        "selection=ds2", "curation.k=7", "budget.samples=40", "eval.limit=50",
    ]  # fmt: skip
    assert search.overrides({"selection": "random"}, 0)[1:] == ["budget.samples=10", "eval.limit=5"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"space": {}, "default": {}}, "space is empty"),
        ({"default": {}}, "default lacks selection"),
        ({"default": {"selection": "length", "curation.k": 3}}, "default.curation.k is no choice it makes"),
        ({"space": {"a": Dimension(choices=[1], low=1, high=2)}, "default": {"a": 1}}, "takes `choices`, or"),
        ({"space": {"a": Dimension(low=2, high=2)}, "default": {"a": 2}}, "low=2 must be below high=2"),
        ({"space": {"a": Dimension(low=0, high=2, log=True)}, "default": {"a": 1}}, "low above 0"),
        ({"space": {"a": Dimension(choices=[1], when={"b": [1]})}, "default": {}}, "no choice made before"),
        (
            {"space": {"b": Dimension(choices=[1])}, "default": {"b": 1}, "rungs": {"b": [1]}},
            "cannot be both",
        ),
        ({"rungs": {"a": [1], "b": [1, 2]}}, "as many values as the others"),
        ({"rungs": {"a": [80, 40]}}, "rungs.a: 80, 40 must rise"),
        ({"rungs": {"budget.tokens": ["20k", "1M", "500k"]}}, "budget.tokens: 20k, 1M, 500k must rise"),
        ({"rungs": {"a": [5, 5], "b": ["x", "x"]}}, "two that follow each other are the same run"),
        (
            {
                "space": {"a": Dimension(choices=[1]), "b": Dimension(choices=[1], when={"a": [2]})},
                "default": {"a": 1},
            },
            r"when.a=\[2\]: space.a must offer each",
        ),
        ({"trials": 0}, "trials=0 must be at least 1"),
        ({"factor": 1}, "factor=1 must be at least 2"),
    ],
)
def test_a_search_that_cannot_be_made_is_refused_in_words_of_its_yaml(changes, says):
    with pytest.raises(UserError, match=says):
        small_search(**changes).check("my.yaml")


def test_rungs_of_names_and_a_key_that_stays_are_taken_as_they_stand():
    small_search(rungs={"model": ["small", "large", "huge"], "eval.limit": [5, 5, 50]}).check("my.yaml")


def test_the_command_line_sets_how_long_to_search():
    assert load_sweep("mini_search", ["search.trials=31"]).search.trials == 31
    with pytest.raises(UserError, match=r"search\.trials=many must be a whole number"):
        load_sweep("mini_search", ["search.trials=many"])
    with pytest.raises(UserError, match=r"search\.metric=x: the command line sets"):
        load_sweep("mini_search", ["search.metric=x"])
    with pytest.raises(UserError, match="is no search"):
        load_sweep("mini_table", ["search.trials=3"])


def test_more_trials_and_another_check_of_the_winner_go_on_with_the_same_trials():
    base = small_search().identity()
    assert small_search(trials=99, confirm=small_search().confirm).identity() == base
    assert small_search(seed=1).identity() != base
    assert small_search(factor=3).identity() != base


def test_what_a_person_adds_stands_above_what_the_search_chooses():
    sweep = load_sweep("mini_search")
    run = sweep.run(["embedder.dimensions=64"], ["embedder.dimensions=32", "search.trials=3"], ["seed=9"])
    assert "embedder.dimensions=32" in run
    assert "embedder.dimensions=64" not in run
    assert [o for o in run if o.startswith(("seed", "search"))] == ["seed=9"]
