"""`benchmarks/scale_sweep.py`: planted chains take what can be counted by hand; the planner's are shared."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from ds2.base.load import load_module
from ds2.base.paths import project_root


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(project_root() / "benchmarks"))
    return load_module("scale_sweep")


@pytest.fixture
def runs(sweep: ModuleType) -> list[list[Any]]:
    """Two raters of 10 s, and for each two runs of a fine-tune of 5 s."""
    return [
        [sweep.Stage("rate", rater, 10.0), sweep.Stage("finetune", f"{rater}{seed}", 5.0)]
        for rater in "ab"
        for seed in (1, 2)
    ]


def test_a_worker_computes_what_is_shared_once_and_others_wait_for_it(sweep, runs) -> None:
    alone, two = sweep.simulate(runs, 1), sweep.simulate(runs, 2)
    assert (alone.makespan, alone.held, alone.waited.total()) == (40.0, 40.0, 0.0)
    assert alone.computed == two.computed == {"rate": 20.0, "finetune": 20.0}
    assert (two.makespan, two.held) == (30.0, 60.0)
    assert two.waited == {"rate": 20.0}


def test_raters_by_turns_are_computed_together(sweep, runs) -> None:
    two = sweep.simulate(sweep.spread(runs), 2)
    assert (two.makespan, two.held, two.waited.total()) == (20.0, 40.0, 0.0)


def test_what_is_finished_before_costs_nothing(sweep, runs) -> None:
    ended = sweep.simulate(runs, 2, {"a": 0.0, "b": 0.0})
    assert (ended.makespan, ended.held, dict(ended.computed)) == (10.0, 20.0, {"finetune": 20.0})


def test_the_planner_says_what_runs_share(sweep) -> None:
    """A rater's ratings serve both seeds; a random choice needs no rater: its runs are one for both."""
    grid = {"rater.column": ["a", "b"], "selection": ["ds2", "random"], "seed": ["1", "2"]}
    report = sweep.account(sweep.planned(grid, lambda config, stage: 1.0), [1, 4])
    assert (report["runs"], report["distinct runs"]) == (8, 6)
    assert report["stages"]["rate"] == {
        "asked": 4, "distinct": 2, "hours": 2 / 3600, "hours unshared": 4 / 3600,
    }  # fmt: skip
    assert report["stages"]["finetune"]["distinct"] == 6
    first, _ = report["workers"]
    assert first["hours"] == pytest.approx(sum(stage["hours"] for stage in report["stages"].values()))
    assert "| rate | 4 | 2 |" in sweep.page(report)
