"""`ds2.load_run` and `ds2.load_sweep`: finished runs, read from the store."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import ds2
from ds2.base.errors import MissingInput, UserError

GRID = ["rater=simulated_gpt_4o_mini,simulated_mistral_7b", "budget.samples=10,40"]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("stored") / "artifacts"


@pytest.fixture(scope="module")
def fixed(store) -> list[str]:
    return ["pool.samples=300", "tracking=none", "runtime.progress=false", "until=select",
            "curation=rank", f"paths.artifacts={store}"]  # fmt: skip


@pytest.fixture(scope="module")
def done(fixed) -> ds2.FinishedRun:
    run = ds2.run([*fixed, "rater=simulated_gpt_4o_mini", "budget.samples=40"])
    ds2.run([*fixed, "rater=simulated_gpt_4o_mini", "budget.samples=10"])
    ds2.run([*fixed, "rater=simulated_mistral_7b", "budget.samples=40"])
    return run


def test_a_run_is_loaded_by_its_name_its_page_and_what_it_ended_with(done, store):
    page, select = done.path("report"), done.path("select")
    for name in (done.name, page, done.report, select, done.stages["select"].fingerprint[:8]):
        loaded = ds2.load_run(name, artifacts=store)
        assert (loaded.name, loaded.fingerprint) == (done.name, done.fingerprint)
        assert list(loaded.stages) == list(done.stages)
        assert loaded.config == done.config
        assert {stage.status.value for stage in loaded.stages.values()} == {"reused"}


def test_its_tables_say_what_the_run_said(done, store):
    loaded = ds2.load_run(done.name, artifacts=store)
    assert loaded.subset.equals(done.subset)
    assert loaded.verdict == done.verdict
    scores = loaded.scores
    assert len(scores) == 300
    chosen = scores.dropna(subset="rank").sort_values("rank")
    assert chosen["id"].tolist() == loaded.subset["id"].tolist()
    records = loaded.records
    assert records["stage"].tolist() == list(done.stages)
    assert (records["bytes"] > 0).all()


def test_an_artifact_in_the_middle_is_the_run_so_far(done, store):
    so_far = ds2.load_run(done.path("curate"), artifacts=store)
    assert list(so_far.stages) == ["rate", "embed", "knn", "curate"]
    assert so_far.scores["curated"].tolist() == done.curation["curated"].tolist()
    with pytest.raises(MissingInput, match="no stage select"):
        _ = so_far.subset


def test_a_matrix_is_drawn_with_its_numbers_and_a_frame_on_the_diagonal(done):
    page = done.transition._repr_html_()
    assert page.count("2px solid") == len(done.transition.matrix)
    assert f"{done.transition.matrix[2][3]:.2f}" in page
    assert "rated wrong" in page


def test_runs_that_nobody_made_are_refused_by_name(done, store):
    with pytest.raises(UserError, match="0 artifacts in"):
        ds2.load_run("mine-abcdef", artifacts=store)
    with pytest.raises(UserError, match="is no artifact"):
        ds2.load_run("nothing", artifacts=store)


def test_a_run_whose_configuration_is_of_another_version_still_has_its_tables(done, store, monkeypatch):
    def unreadable(kept):
        raise UserError("this version of DS2 cannot read the kept configuration: field moved")

    monkeypatch.setattr("ds2.runs.stored.restore", unreadable)
    monkeypatch.setattr("ds2.runs.library.restore", unreadable)
    loaded = ds2.load_run(done.path("select"), artifacts=store)
    assert len(loaded.subset) == 40
    assert "cannot read the kept configuration" in loaded._repr_html_()
    with pytest.raises(UserError, match="field moved"):
        _ = loaded.config


def test_a_sweep_says_of_each_run_whether_it_is_done_and_how_far_subsets_agree(done, fixed):
    sweep = ds2.load_sweep([*fixed, *GRID])
    states = sweep.states
    assert states["state"].tolist().count("done") == 3
    assert states.loc[states["state"] == "missing", "budget"].tolist() == ["10"]
    assert done.name in sweep.runs
    overlap = sweep.overlap
    assert (overlap.to_numpy().diagonal() == 1).all()
    small = next(name for name in sweep.runs if "-10-" in name)
    assert overlap.loc[small, done.name] == pytest.approx(10 / 40)  # a smaller budget is a prefix
    page = sweep._repr_html_()
    assert "4 runs: 3 done, 1 missing" in page
    assert "All: pool mini" in page  # what all have in common is said once, not in each row
    assert ">simulated_mistral_7b<" in page
    assert ">mini<" not in page
    assert sweep.results.empty


def test_a_named_sweep_is_known_and_an_unknown_one_refused(fixed):
    sweep = ds2.load_sweep(["sweep=demo", "selection=random", f"{fixed[-1]}/none"])
    assert sweep.states[["method", "state"]].to_numpy().tolist() == [["random", "missing"]]
    with pytest.raises(UserError, match="sweep=nothing is unknown"):
        ds2.load_sweep(["sweep=nothing", fixed[-1]])


def test_a_store_that_was_moved_is_read_where_it_lies(done, store, tmp_path):
    shutil.copytree(store, tmp_path / "elsewhere")
    moved = ds2.load_run(done.name, artifacts=tmp_path / "elsewhere")
    assert moved.path("select").is_relative_to(tmp_path)
    assert len(moved.subset) == 40
