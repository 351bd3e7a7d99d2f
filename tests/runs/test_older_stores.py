"""Stores that released versions made open in this one (tests/fixtures/make_store.py makes them); what another
stage version made is named, recomputed or refused, and freed.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

import ds2
from ds2.artifacts import versions
from ds2.artifacts.versions import VERSIONS
from ds2.base.errors import UserError
from ds2.base.paths import project_root
from ds2.cli import main as cli

FIXTURES = project_root() / "tests" / "fixtures"
STORES = sorted(FIXTURES.glob("store_*"))
STAGES = ["rate", "embed", "knn", "curate", "select"]


@pytest.fixture(params=STORES, ids=lambda path: path.name)
def store(request, tmp_path) -> Path:
    return shutil.copytree(request.param, tmp_path / "artifacts")


def test_it_is_listed_shown_and_found_sound(store, capsys):
    assert cli.run(["list", f"paths.artifacts={store}"]) == 0
    listed = capsys.readouterr().out
    assert f"{len(STAGES)} artifacts" in listed
    (select,) = (store / "select").iterdir()
    assert cli.run(["show", select.name.rpartition("-")[2], f"paths.artifacts={store}"]) == 0
    assert '"stage": "select"' in capsys.readouterr().out
    assert cli.run(["doctor", f"paths.artifacts={store}"]) == 0
    assert f"{len(STAGES)} sound artifacts" in capsys.readouterr().out


def test_its_run_is_loaded_with_configuration_and_tables(store):
    (select,) = (store / "select").iterdir()
    run = ds2.load_run(select)
    assert list(run.stages) == STAGES
    assert run.config.budget.samples == len(run.subset) == 6
    assert len(run.scores) == 24
    assert run.transition is not None
    assert run.verdict


def test_it_is_small():
    assert STORES
    for folder in STORES:
        assert sum(path.stat().st_size for path in folder.rglob("*")) <= 200 * 1024


MADE_BY = ["pool.samples=24", "budget.samples=6", "until=select", "tracking=none", "curation=posterior"]


def command(store: Path) -> list[str]:
    return [*MADE_BY, f"paths.artifacts={store}", "runtime.progress=false"]


def with_version(monkeypatch, stage: str, number: int) -> None:
    monkeypatch.setattr(versions, "VERSIONS", {**VERSIONS, stage: {"": number}})


def release(store: Path) -> str:
    """The version of DS2 that made it."""
    (record,) = (store / "embed").glob("*/record.json")
    return json.loads(record.read_text(encoding="utf-8"))["versions"]["ds2"]


def folders(store: Path, stage: str) -> set[Path]:
    return set((store / stage).iterdir())


def test_the_same_command_reuses_all_of_it(store, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.run(command(store)) == 0
    said = capsys.readouterr().out
    assert "reused   rate, embed, knn, curate, select" in said
    assert "computed" not in said.replace("report   computed", "")
    assert all(len(folders(store, stage)) == 1 for stage in STAGES)


def test_what_an_older_stage_version_made_is_named_and_computed_anew(store, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (before,) = folders(store, "curate")
    with_version(monkeypatch, "curate", 5)
    assert cli.run(command(store)) == 0
    said = capsys.readouterr().out
    assert f"curate is computed anew: {before.name} was made by version 4 of the stage, and version 5" in said
    assert before in folders(store, "curate")  # it stays until it is asked away
    (after,) = folders(store, "curate") - {before}
    assert json.loads((after / "record.json").read_text())["version"] == 5
    assert len(folders(store, "select")) == 2
    assert ds2.load_run(before).stages["curate"].path == before  # it opens


def test_what_a_newer_stage_version_made_is_refused_by_name(store, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (newer,) = folders(store, "embed")
    with_version(monkeypatch, "embed", 2)  # as if the store came from a later ds2
    assert cli.run(command(store)) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    for part in (
        newer.name,
        "version 3 of the stage",
        "knows version 2",
        "upgrade ds2",
        "ds2 gc newer delete",
    ):
        assert part in line
    assert folders(store, "embed") == {newer}  # nothing was computed
    with pytest.raises(
        UserError, match=f"{newer.name} was made by version 3 of stage embed, in ds2 {release(store)}"
    ):
        ds2.load_run(newer)
    (select,) = folders(store, "select")
    with pytest.raises(UserError, match=newer.name):  # what was made from it
        ds2.load_run(select)
    assert cli.run(["doctor", f"paths.artifacts={store}"]) == 0
    assert newer.name in capsys.readouterr().out
    assert cli.run(["show", newer.name, f"paths.artifacts={store}"]) == 0  # a record tells who made it


def test_a_stage_that_only_a_later_version_has_is_refused_by_name(store, monkeypatch):
    monkeypatch.setattr(versions, "VERSIONS", {k: v for k, v in VERSIONS.items() if k != "curate"})
    (newer,) = folders(store, "curate")
    with pytest.raises(UserError, match=f"{newer.name} was made by version 4 of stage curate.*no such stage"):
        ds2.load_run(newer)


@pytest.mark.parametrize(("word", "other", "number"), [("older", "newer", 4), ("newer", "older", 2)])
def test_gc_frees_other_stage_versions_and_what_was_made_from_them_when_asked(
    store, monkeypatch, capsys, word, other, number
):
    with_version(monkeypatch, "embed", number)
    where = f"paths.artifacts={store}"
    aged = ["embed", "knn", "curate", "select"]
    assert cli.run(["list", where]) == 0
    assert f"embed ({word} version)" in capsys.readouterr().out
    assert cli.run(["gc", where]) == 0
    said = capsys.readouterr().out
    assert f"version 3 of stage embed, and this ds2 makes {number}, " in said
    assert f"4 artifacts of {word} stage versions" in said
    assert f"0 artifacts of {other} stage versions" in said
    assert f"ds2 gc {word} delete removes them" in said
    assert cli.run(["gc", "delete", where]) == 0
    assert cli.run(["gc", other, "delete", where]) == 0
    assert all(len(folders(store, stage)) == 1 for stage in STAGES)  # neither was asked for
    assert cli.run(["gc", word, "delete", where]) == 0
    assert [stage for stage in STAGES if not folders(store, stage)] == aged
    assert len(folders(store, "rate")) == 1


def test_gc_names_a_damaged_record_and_goes_on(store, capsys):
    (select,) = folders(store, "select")
    (select / "record.json").write_text("{")
    assert cli.run(["gc", f"paths.artifacts={store}"]) == 0
    assert f"{select}/record.json is damaged" in capsys.readouterr().err


def test_gc_leaves_an_artifact_whose_lock_is_held(store, monkeypatch, capsys):
    with_version(monkeypatch, "select", 5)
    (select,) = folders(store, "select")
    (store / ".locks").mkdir()
    with FileLock(store / ".locks" / f"{select.name.rpartition('-')[2]}.lock"):
        assert cli.run(["gc", "older", "delete", f"paths.artifacts={store}"]) == 0
    assert select.exists()
    assert f"older {store}" in capsys.readouterr().out
    assert cli.run(["gc", "older", "delete", f"paths.artifacts={store}"]) == 0
    assert not select.exists()
