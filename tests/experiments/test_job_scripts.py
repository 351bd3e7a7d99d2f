"""The scripts that a queue would run: one export to a folder, the same runs wherever they are submitted."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from ds2.base.errors import UserError
from ds2.config.compose import compose
from ds2.config.sweep import load_sweep
from ds2.runs import expected
from experiments import grid, job_scripts
from experiments.__main__ import main

ONE_SEED = ["model=llama_3_1_8b", "seed=42"]


@pytest.fixture
def swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> grid.Grid:
    """Some runs in a relative store, which is not there, with a relative folder of benchmarks."""
    monkeypatch.chdir(tmp_path)
    asked = [*ONE_SEED, "paths.artifacts='my store, new'", "eval.data_dir=bench"]
    sweep, root = load_sweep("main_table"), tmp_path / "my store, new"
    runs = sweep.runs(asked)
    return grid.Grid(sweep, asked, root, expected.look([runs[0], runs[-1]], root, remembers=False))


def submitted(script: Path, home: Path) -> list[str]:
    """The words of the command that a script ends in, begun in the clone as a node would."""
    subprocess.run(["bash", "-n", str(script)], check=True)
    programs = home / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    (programs / "ds2").write_text('#!/bin/bash\npwd\nprintf "%s\\n" "$@"\n')
    (programs / "ds2").chmod(0o755)
    env = {"PATH": f"{programs}:/usr/bin:/bin", "DS2_HOME": str(home)}
    made = subprocess.run(["bash", str(script)], env=env, capture_output=True, text=True, check=True)
    where, *words = made.stdout.splitlines()
    assert where == str(home)
    return words


def test_a_script_makes_the_run_that_was_looked_for_from_any_folder(
    swept: grid.Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = job_scripts.export(swept, "slurm", "jobs")
    assert len(paths) == len(swept.expected) > 1
    home = tmp_path / "clone"
    for path, run in zip(paths, swept.expected, strict=True):
        words = submitted(path, home)
        monkeypatch.chdir(home)
        assert compose(words) == run.config


def test_a_script_says_at_its_top_where_it_writes(swept: grid.Grid, tmp_path: Path) -> None:
    text = job_scripts.export(swept, "slurm", "jobs")[0].read_text()
    top = text[: text.index("\nset -euo")]
    assert "#SBATCH --gpus=1" in top
    assert f"#   paths.artifacts='{tmp_path}/my store, new'" in top
    assert f"#   eval.data_dir={tmp_path}/bench" in top
    assert "exec ds2 experiment=paper" in text


def test_an_export_makes_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["main_table", *ONE_SEED, "--export", "slurm", "jobs"]) == 0
    assert [each.name for each in tmp_path.iterdir()] == ["jobs"]


def test_an_export_takes_the_place_of_an_earlier_one_as_a_whole(swept: grid.Grid, tmp_path: Path) -> None:
    first = job_scripts.export(swept, "slurm", "jobs")
    fewer = grid.Grid(swept.sweep, swept.extra, swept.root, swept.expected[:1])
    assert job_scripts.export(fewer, "slurm", "jobs") == first[:1]
    assert list((tmp_path / "jobs").iterdir()) == first[:1]
    assert [each.name for each in tmp_path.iterdir()] == ["jobs"]


def test_an_export_that_is_cut_off_leaves_the_earlier_one(
    swept: grid.Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = job_scripts.export(swept, "slurm", "jobs")
    before = {path: path.read_text() for path in first}
    monkeypatch.setattr(job_scripts, "_SCRIPT", "another{name}{limit}{paths}{command}")
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        job_scripts.export(swept, "slurm", "jobs")
    assert {path: path.read_text() for path in (tmp_path / "jobs").iterdir()} == before
    assert [each.name for each in tmp_path.iterdir()] == ["jobs"]


@pytest.mark.parametrize("name", ["notes.txt", "mine.sh", "main_table-000-17.log"])
def test_a_folder_with_anything_else_in_it_is_left_alone(swept: grid.Grid, tmp_path: Path, name: str) -> None:
    job_scripts.export(swept, "slurm", "jobs")
    (tmp_path / "jobs" / name).write_text("#!/bin/bash\n")
    before = sorted((tmp_path / "jobs").iterdir())
    with pytest.raises(UserError, match=f"jobs/{name} was written by no export"):
        job_scripts.export(swept, "slurm", "jobs")
    assert sorted((tmp_path / "jobs").iterdir()) == before


def test_a_place_that_cannot_be_written_is_one_clear_line(swept: grid.Grid, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write to .*file"):
        job_scripts.export(swept, "slurm", "file/jobs")


def test_what_is_no_folder_for_scripts_is_refused_before_the_runs_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    for queue, folder, says in (
        ("slurm", "file", "--export slurm file: that is a file"),
        ("slurm", ".", "name a folder of the scripts' own"),
        ("pbs", "jobs", "--export pbs: slurm is the only queue"),
    ):
        assert main(["main_table", "--export", queue, folder]) == 2
        err = capsys.readouterr().err
        assert says in err
        assert len(err.strip().splitlines()) == 1, shlex.quote(err)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def limit_of(folder: Path, word: str) -> int:
    """The hours of the script whose command holds a word."""
    (text,) = (text for each in folder.iterdir() if word in (text := each.read_text()))
    (hours,) = re.findall(r"^#SBATCH --time=(\d+):00:00$", text, re.MULTILINE)
    return int(hours)


def test_a_time_limit_is_that_of_all_that_a_run_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first run of LESS passes the pool with gradients before it trains."""
    monkeypatch.chdir(tmp_path)
    sweep = load_sweep("main_table")
    runs = sweep.runs([*ONE_SEED, "selection=random,perplexity_high,less"])
    looked = expected.look(runs, tmp_path / "store", remembers=False)
    job_scripts.export(grid.Grid(sweep, ONE_SEED, tmp_path / "store", looked), "slurm", "jobs")
    hours = {
        word: limit_of(tmp_path / "jobs", f"selection={word}")
        for word in ("random", "less", "perplexity_high")
    }
    assert hours["random"] <= 6
    assert hours["random"] + 5 < hours["perplexity_high"] < hours["less"]
    assert hours["less"] > 60


@pytest.mark.parametrize(("sweep", "unknown"), [("robust", "model=mini"), ("small_real", "model=smollm2")])
def test_a_run_of_unknown_length_has_a_limit_that_a_person_can_set(
    sweep: str, unknown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one = ["selection=random", "seed=11" if sweep == "robust" else "seed=42"]
    assert main([sweep, *one, "--export", "slurm", "jobs"]) == 0
    text = sorted((tmp_path / "jobs").iterdir())[0].read_text()
    assert (
        f"# How long it takes is not known (--plan knows no size of {unknown}; it knows llama_3_1_8b, "
        "llama_2_7b, mistral_7b_v0_3, llama_3_2_3b): change this line, or sbatch --time=HOURS:00:00\n"
        f"#SBATCH --time={job_scripts.DEFAULT_HOURS}:00:00\n" in text
    )
