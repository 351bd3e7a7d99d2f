"""Stores that released versions made open in this one (tests/fixtures/make_store.py makes them)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import ds2
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
