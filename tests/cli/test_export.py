"""`ds2 export` and `selection.export`: one artifact, found again; what is wrong in one line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from helpers.exported import KINDS, SKIPPED, finished_subset, rows
from helpers.full_disk import no_file_beyond

from ds2.base.errors import UserError
from ds2.cli.export import run
from ds2.cli.main import run as ds2
from ds2.config.compose import compose
from ds2.runs.chain import Chain


@pytest.fixture
def subset(tmp_path):
    return finished_subset(tmp_path / "artifacts", rows())


def test_an_export_says_what_is_left_out_and_what_to_paste(subset, tmp_path, capsys):
    fingerprint = subset.name.rpartition("-")[2]
    root = f"paths.artifacts={tmp_path / 'artifacts'}"
    assert run([fingerprint[:6], "--to", "llama_factory", root]) == 0
    said = capsys.readouterr().out
    assert f"{len(KINDS) - len(SKIPPED)} of {len(KINDS)} rows" in " ".join(said.split())
    assert "dataset: mine-score" in said
    (export,) = (tmp_path / "artifacts" / "export").glob("*-*")
    assert run([str(subset / "subset.jsonl"), "--to", "llama_factory", root]) == 0
    assert list((tmp_path / "artifacts" / "export").glob("*-*")) == [export]
    counts = json.loads((export / "record.json").read_text())["counts"]["llama_factory"]
    assert counts["rows"] == len(KINDS) - len(SKIPPED)


def test_an_export_goes_where_it_is_told_and_never_over_what_is_there(subset, tmp_path):
    out = tmp_path / "my exports"
    run([str(subset), "--to", "trl", "--out", str(out), "--with-scores"])
    assert (out / "trl" / "train.parquet").is_file()
    with pytest.raises(UserError, match="is there already"):
        run([str(subset), "--to", "trl", "--out", str(out)])


@pytest.mark.parametrize("command", ["export", "publish"])
@pytest.mark.parametrize(
    "kind", ["a pipe", "a device", "a link to nothing", "a file", "below a file", "long"]
)
def test_where_no_folder_can_be_is_one_line_and_stays_as_it_is(subset, tmp_path, capsys, command, kind):
    out = tmp_path / "out"
    match kind:
        case "a pipe":
            os.mkfifo(out)
        case "a device":
            out = Path(os.devnull)
        case "a link to nothing":
            out.symlink_to(tmp_path / "nothing")
        case "a file":
            out.write_text("mine")
        case "below a file":
            out.write_text("mine")
            out = out / "below"
        case "long":
            out = tmp_path / ("x" * 300)
    before = sorted(tmp_path.iterdir())
    where = ["--to", "openai", "--out"] if command == "export" else ["--licence", "mit", "--yes", "--to"]
    assert ds2([command, str(subset), *where, str(out), f"paths.artifacts={tmp_path}/artifacts"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(out.parent) in line
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("made", [False, True], ids=["new folder", "empty folder"])
@pytest.mark.parametrize("form", ["trl", "llama_factory", "hf"])
def test_an_export_that_finds_no_room_is_one_line_and_leaves_nothing(subset, tmp_path, capsys, form, made):
    out = tmp_path / "out"
    if made:
        out.mkdir()
    asked = ["export", str(subset), "--to", form, "--out", str(out), f"paths.artifacts={tmp_path}/artifacts"]
    with no_file_beyond(700):
        assert ds2(asked) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "out" in line
    assert "File too large" in line
    assert out.exists() == made
    assert not made or not any(out.iterdir())
    assert ds2(asked) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none", "--to", "trl"], "none: no subsets of that name"),
        (["{subset}", "--to", "mlx"], "invalid choice: 'mlx'"),
        (["{subset}"], "required: --to"),
        (["{subset}", "--to", "openai", "--with-scores"], "no room for scores"),
    ],
)
def test_what_is_wrong_is_one_line(subset, tmp_path, capsys, arguments, said):
    root = f"paths.artifacts={tmp_path / 'artifacts'}"
    assert ds2(["export", *(a.format(subset=subset) for a in arguments), root]) == 2
    error = capsys.readouterr()
    assert said in " ".join((error.err + error.out).split())


def test_a_run_writes_the_exports_that_its_selection_names(planted_pool):
    root = planted_pool.parent / "artifacts"
    given = ["pool=jsonl", f"pool.path={planted_pool}", "model=tiny", "tracking=none", "until=select",
             "budget.samples=20", "runtime.progress=false", "selection=random",
             f"paths.artifacts={root}"]  # fmt: skip
    without = Chain(compose(given)).run().stages["select"]
    asked = ["selection.export=[trl,llama_factory]", "selection.export_scores=true"]
    done = Chain(compose([*given, *asked])).run()
    assert done.stages["select"].fingerprint == without.fingerprint
    export = done.stages["export"]
    assert sorted(path.name for path in export.path.iterdir() if path.is_dir()) == ["llama_factory", "trl"]
    assert export.record["counts"]["trl"]["rows"] == 20
    with pytest.raises(UserError, match="no room for scores"):
        Chain(compose([*given, "selection.export=[openai]", "selection.export_scores=true"]))
