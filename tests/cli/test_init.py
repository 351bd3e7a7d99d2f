"""A starter folder runs as it is, on its own rows and on a pool that is there already."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from helpers.full_disk import no_file_beyond

from ds2.base.paths import project_root
from ds2.cli import init
from ds2.cli import main as cli
from ds2.config import plugins
from ds2.config.base import SCHEMAS

WRITTEN = [
    "README.md",
    "my_ds2/__init__.py",
    "my_ds2/conf/experiment/mine.yaml",
    "my_ds2/conf/rater/own.yaml",
]
QUIET = ["tracking=none", "runtime.progress=false"]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Iterator[Path]:
    """A working folder; this process forgets the plugin afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = {group: dict(schemas) for group, schemas in SCHEMAS.items()}
    yield tmp_path
    SCHEMAS.clear()
    SCHEMAS.update(before)
    sys.modules.pop("my_ds2", None)
    plugins.activate([])


def commands(readme: Path) -> list[list[str]]:
    """What its shell block types, without `ds2`."""
    (block,) = re.findall(r"^```bash\n(.*?)^```$", readme.read_text(encoding="utf-8"), re.M | re.S)
    return [shlex.split(line, comments=True)[1:] for line in block.splitlines()]


@pytest.fixture
def started(folder, monkeypatch, capsys) -> Path:
    """`ds2 init` beside the tutorials' example pool, and the process in that folder."""
    script = project_root() / "docs" / "tutorials" / "example_pool.py"
    home = folder / "my pool"
    home.mkdir()
    subprocess.run([sys.executable, str(script), "100"], cwd=home, check=True, timeout=60)
    pool = (home / "mine.jsonl").read_bytes()
    assert cli.run(["init", "my pool"]) == 0
    assert "kept  my pool/mine.jsonl" in capsys.readouterr().out
    assert (home / "mine.jsonl").read_bytes() == pool
    monkeypatch.chdir(home)
    return home


def test_the_commands_of_its_readme_run_on_the_example_pool(started, capsys):
    look, one, several = commands(started / "README.md")
    assert cli.run(look) == 0
    assert "100 rows" in capsys.readouterr().out
    assert cli.run([*one, *QUIET]) == 0
    assert "selected 25, pool 100" in capsys.readouterr().out
    (subset,) = (started / "artifacts" / "select").glob("*/subset.jsonl")
    assert json.loads(subset.read_text().splitlines()[0])["messages"]
    assert cli.run([*several, "plan=true"]) == 0
    assert "4 runs planned" in capsys.readouterr().out


@pytest.mark.slow
def test_its_comparison_runs_to_its_table(started, capsys):
    *_, several = commands(started / "README.md")
    assert cli.run([*several, *QUIET]) == 0
    assert "4 of 4 runs done" in capsys.readouterr().out


def test_it_brings_rows_where_there_are_none_which_its_rater_tells_apart(folder, monkeypatch, capsys):
    assert cli.run(["init"]) == 0
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == sorted(
        [*WRITTEN, "mine.jsonl"]
    )
    assert cli.run(["plugins=[my_ds2]", "experiment=mine", "until=rate", *QUIET]) == 0
    assert "samples 60, unrated 0" in capsys.readouterr().out
    (table,) = (folder / "artifacts" / "rate").glob("*/ratings.parquet")
    assert pd.read_parquet(table)["score"].nunique() >= 4


@pytest.mark.parametrize("name", WRITTEN)
def test_it_overwrites_nothing_and_then_writes_nothing(folder, capsys, name):
    mine = folder / "here" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    assert cli.run(["init", "here"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"here/{name} is there already" in line
    assert mine.read_text() == "mine"
    assert [p for p in (folder / "here").rglob("*") if p.is_file()] == [mine]


@pytest.mark.parametrize("words", [["one", "two"], ["--force"], ["pool=jsonl"]])
def test_it_takes_one_folder(folder, capsys, words):
    assert cli.run(["init", *words]) == 2
    assert "ds2 init takes one folder" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_a_file_is_refused_in_a_line(folder, capsys):
    (folder / "taken").write_text("a file")
    assert cli.run(["init", "taken"]) == 2
    assert "ds2 init cannot write to taken" in capsys.readouterr().err


def test_what_is_written_is_what_lies_beside_the_command():
    assert sorted(name for name, _ in init._starter()) == sorted(WRITTEN)


def test_a_starter_folder_that_finds_no_room_can_be_begun_again(folder, capsys):
    with no_file_beyond(2000):
        assert cli.run(["init", "new"]) == 2
    assert "cannot write to new: File too large" in capsys.readouterr().err
    assert not [path for path in (folder / "new").rglob("*") if path.is_file()]
    assert cli.run(["init", "new"]) == 0
