"""`ds2 sweep=NAME` of a search: killed and gone on with, its table, what its winner is worth."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from helpers.evaluated import finish

from ds2.cli import main as cli
from ds2.config.compose import compose
from ds2.runs.chain import Chain

pytest.importorskip("optuna", reason="optuna is not installed")
ROOT = Path(__file__).parents[2]
SEARCH = """
search:
  space:
    selection: {choices: [length, random, ds2_refined]}
    embedder.dimensions: {choices: [8, 16, 32], when: {selection: [ds2_refined]}}
  default: {selection: length}
  metric: mini_familiar
  trials: 5
  startup: 3
  rungs: {budget.samples: [10, 20]}
  confirm: {seeds: [7, 8]}
"""
WORTH = {"length": 0.5, "random": 0.4, "refined": 0.7}


@pytest.fixture
def command(planted_pool: Path, tmp_path: Path, monkeypatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own" / "sweep").mkdir(parents=True)
    (tmp_path / "own" / "sweep" / "small.yaml").write_text(SEARCH)
    return ["sweep=small", "--config-dir", str(tmp_path / "own"), "pool=jsonl", f"pool.path={planted_pool}",
            "rater=from_column", "rater.column=true_score", "model=tiny", "finetune=tiny", "eval=tiny",
            "tracking=none", "runtime.progress=false"]  # fmt: skip


@pytest.fixture
def planted(monkeypatch) -> list[str]:
    """Runs that only leave planted evaluations, by name; a budget of 10 shows half of the difference."""
    made: list[str] = []

    def plant(overrides, record, told, *, many=True):
        chain = Chain(compose(overrides))
        config = chain.config
        share = 0.5 if config.budget.samples == 10 else 1.0
        value = 0.5 + share * (WORTH[config.selection.strategy] - 0.5) + config.embedder.dimensions / 1000
        questions = [1.0] * round(100 * value) + [0.0] * (100 - round(100 * value))
        finish(chain, {"mini_familiar": round(100 * value) / 100}, {"mini_familiar": questions})
        made.append(f"{chain.name} {config.tracking.tags} {config.tracking.trial}")

    monkeypatch.setattr("ds2.cli.search.launch", plant)
    return made


def table_file(ending: str) -> Path:
    """The one table of that kind, which is called as the database of its trials is."""
    folder = Path("artifacts/sweeps/small")
    (file,) = folder.glob(f"trials*{ending}")
    assert file.with_suffix(".db").exists()
    return file


def test_the_winner_is_judged_on_seeds_that_the_search_did_not_see(command, planted, capfd):
    assert cli.run(command) == 0
    out = capfd.readouterr().out
    assert out.count(" of 5 complete") + out.count(" of 5 pruned") == 5
    assert "Best of 5 trials, which makes its value here an optimistic one: ds2 " in out
    assert "On seeds that it did not see (7, 8)" in out
    assert "it is better than the default there" in out
    table = pd.read_csv(table_file(".csv"))
    best = table.loc[table["rung 20"].idxmax()]
    assert best["selection"] == "ds2_refined"
    assert table["rung 20"].isna().any()  # the worst went no further than the first rung
    assert "**" in table_file(".md").read_text()
    assert any(name.endswith("'trial-0', 'rung-1'] 0") for name in planted)
    assert sum(name.endswith("'confirm', 'best'] None") for name in planted) == 2


def test_the_command_that_is_printed_makes_the_winner_again(command, planted, capfd):
    import shlex

    cli.run(command)
    line = next(o for o in capfd.readouterr().out.splitlines() if o.startswith("Best of"))
    words = shlex.split(line.partition(": ")[2])
    assert words[0] == "ds2"
    chain = Chain(compose(words[1:]))
    assert chain.config.selection.strategy == "refined"
    assert chain.load() is not None


def test_a_search_that_is_done_makes_no_run_and_more_trials_go_on_from_it(command, planted, capfd):
    cli.run(command)
    first = len(planted)
    capfd.readouterr()
    assert cli.run(command) == 0
    assert len(planted) == first
    assert "5 of 5 trials are done" in capfd.readouterr().out
    assert cli.run([*command, "search.trials=7"]) == 0
    assert "the space is exhausted" in capfd.readouterr().out  # there are five combinations


def test_a_search_can_be_planned(command, planted, capfd):
    assert cli.run([*command, "plan=true"]) == 0
    assert "0 of 5 trials done" in capfd.readouterr().out
    assert not planted


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("metric: mini_familiar", "metric: nope", "search.metric=nope: eval=tiny gives average, mini_"),
        ("random, ds2_refined]}\n", "randon, ds2_refined]}\n", "search.space: selection=randon is unknown"),
        ("embedder.dimensions", "embedder.dimension", "search.space: embedder.dimension: no such"),
        ("[10, 20]", "[20, 10]", "search.rungs.budget.samples: 20, 10 must rise"),
        ("budget.samples", "budget.sampels", "budget.sampels: no such key (did you mean samples?)"),
        ("[7, 8]", "[7, 8], overrides: [eval.sed=1]", "search.confirm: eval.sed: no such key"),
        ("[7, 8]", "[7, 8], overrides: [eval=none]", "search.metric=mini_familiar: no run would be"),
    ],
)
def test_a_slip_in_the_yaml_is_one_line_before_anything_runs(command, planted, capfd, old, new, says):
    assert old in SEARCH
    Path("own/sweep/small.yaml").write_text(SEARCH.replace(old, new))
    for asked in (["plan=true"], []):
        assert cli.run([*command, *asked]) == 2
        err = capfd.readouterr().err
        assert says in err
        assert len(err.strip().splitlines()) == 1, err
    assert not planted
    assert not list(Path("artifacts").glob("sweeps/*/*.db"))


def test_a_search_without_an_evaluation_is_refused(command, planted, capfd):
    assert cli.run([*command, "eval=none", "plan=true"]) == 2
    assert "search.metric=mini_familiar: no run would be evaluated" in capfd.readouterr().err


def test_two_searches_of_one_name_have_tables_of_their_own(command, planted, capfd):
    cli.run(command)
    first = table_file(".md")
    kept = first.read_text(), first.with_suffix(".csv").read_text()
    assert cli.run([*command, "seed=5"]) == 0
    assert (first.read_text(), first.with_suffix(".csv").read_text()) == kept
    names = {file.suffix: set() for file in first.parent.glob("trials-*")}
    for file in first.parent.glob("trials-*"):
        names[file.suffix].add(file.stem)
    assert len(names[".md"]) == 2
    assert names[".md"] == names[".csv"] == names[".db"]


def test_a_default_that_cannot_run_ends_the_search_in_one_line(command, capfd):
    Path("own/sweep/small.yaml").write_text(SEARCH.replace("[10, 20]", "[10, 9999]"))
    assert cli.run(command) == 2
    err = capfd.readouterr().err
    assert "the default of this search cannot be run" in err
    assert "more than the pool's 240 samples" in err
    assert "Traceback" not in err


def test_several_values_of_one_option_are_refused(command, capfd):
    assert cli.run([*command, "seed=1,2"]) == 2
    assert "give each option one value" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("budget.samples=50", "budget.samples is what the search tries (search.rungs)"),
        ("selection=ds2", "selection is what the search tries (search.space)"),
        ("seed=8", "seed=8 is one of search.confirm.seeds (7, 8)"),
    ],
)
def test_what_the_search_gives_its_values_is_not_typed(command, planted, capfd, typed, says):
    assert cli.run([*command, typed, "plan=true"]) == 2
    assert says in capfd.readouterr().err
    assert not planted


def test_the_most_of_a_loss_is_not_searched(command, planted, capfd):
    Path("rows.jsonl").write_text("{}")
    losses = ["eval.tasks=[]", "eval.held_out=[rows.jsonl]", "plan=true"]
    Path("own/sweep/small.yaml").write_text(SEARCH.replace("mini_familiar", "average"))
    assert cli.run([*command, *losses]) == 2
    assert "search.direction=maximize: of average less is better" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_search_that_is_killed_keeps_its_trials_and_makes_none_twice(command):
    command = [*command, "search.trials=4"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    whole = [sys.executable, "-m", "ds2", *command]
    running = subprocess.Popen(whole, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(_ended()) < 2:
        assert running.poll() is None, "it ended before it could be killed"
        time.sleep(0.2)
    running.send_signal(signal.SIGKILL)
    running.wait()
    before, kept = _ended(), {path: path.stat().st_mtime_ns for path in _records()}
    assert len(before) < 4
    again = subprocess.run(whole, env=env, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    after = _ended()
    assert {number: after[number] for number in before} == before
    assert sum("repeats" not in attributes for attributes in after.values()) == 4
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    runs = pd.read_csv(table_file(".csv"))
    assert len(runs) == 4


def _ended() -> dict[int, str]:
    """Number -> attributes of each trial that has ended, read as any program may."""
    files = list(Path("artifacts", "sweeps", "small").glob("trials-*.db"))
    if not files:
        return {}
    with closing(sqlite3.connect(files[0])) as database:
        try:
            return dict(
                database.execute(
                    "SELECT number, COALESCE((SELECT GROUP_CONCAT(key || value_json)"
                    " FROM trial_user_attributes a WHERE a.trial_id = t.trial_id"
                    " AND key != 'seconds'), '') FROM trials t"
                    " WHERE state IN ('COMPLETE', 'PRUNED')"
                )
            )
        except sqlite3.OperationalError:  # its tables are being made
            return {}


def _records() -> list[Path]:
    return list(Path("artifacts").glob("finetune/*/record.json"))
