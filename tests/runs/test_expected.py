"""What became of the expected runs of a sweep: found by fingerprint, and a reason for each that is not
there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.evaluated import finish
from helpers.jobs import a_job
from omegaconf import OmegaConf

from ds2.base import hub
from ds2.base.errors import UserError
from ds2.base.paths import project_root
from ds2.config.compose import compose
from ds2.config.compose_cache import compose_all
from ds2.config.sweep import load_sweep
from ds2.runs import expected
from ds2.runs.chain import Chain
from ds2.runs.expected import State

SCORES = {"mini_new": 0.5}


@pytest.fixture
def runs(tmp_path) -> list[list[str]]:
    fixed = ["experiment=mini", "pool.samples=40", "tracking=none", f"paths.artifacts={tmp_path}"]
    return [[*fixed, f"selection={name}"] for name in ("random", "ds2", "length")]


def states(runs, tmp_path) -> list[str]:
    return [each.state.value for each in expected.look(runs, tmp_path)]


def test_a_run_is_done_missing_running_or_failed(runs, tmp_path, capsys):
    assert states(runs, tmp_path) == ["missing"] * 3
    finish(Chain(compose(runs[0])), SCORES)
    with a_job(tmp_path, tuple(runs[1])) as (_, job):
        job.identify(Chain(compose(runs[1])).fingerprint)
        assert states(runs, tmp_path) == ["done", "running", "missing"]
        raise UserError("the judge is on holiday")
    looked = expected.look(runs, tmp_path)
    assert [each.state for each in looked] == [State.done, State.failed, State.missing]
    assert expected.count(looked) == "3 runs: 1 done, 1 failed, 1 missing"
    assert expected.explain(looked) == ["failed: selection=ds2: the judge is on holiday"]
    assert [each.to_launch for each in looked] == [False, True, True]


def test_a_done_run_stays_done_without_its_report_but_a_launch_would_write_it(runs, tmp_path):
    chain = Chain(compose(runs[0]))
    finish(chain, SCORES)
    record = next((tmp_path / "report").glob("*/record.json"))
    record.unlink()
    each = expected.look(runs[:1], tmp_path)[0]
    assert each.state is State.done
    assert each.to_launch


def test_an_older_stage_version_is_named_and_not_counted(runs, tmp_path):
    chain = Chain(compose(runs[1]))
    assert next(step for step in chain.steps if step.stage == "curate").version > 1
    finish(chain, SCORES, versions={"curate": 1})
    looked = expected.look(runs, tmp_path)
    assert [each.state for each in looked] == [State.missing] * 3
    (line,) = expected.explain(looked)
    assert line.startswith("missing (1 run): done with an older version of curate 1 (now ")
    assert line.endswith("not counted")


def test_a_damaged_artifact_is_a_failure_with_the_file_s_name(runs, tmp_path):
    finish(Chain(compose(runs[0])), SCORES)
    results = next((tmp_path / "evaluate").glob("*/results.json"))
    results.write_text(results.read_text().replace("0.5", "0.9"))
    looked = expected.look(runs, tmp_path)
    assert looked[0].state is State.failed
    assert "results.json does not match its checksum" in looked[0].reason
    record = results.with_name("record.json")
    record.write_text(record.read_text()[:40])
    assert "record.json is damaged; delete" in expected.look(runs, tmp_path)[0].reason


def test_a_task_without_a_result_is_a_failure_that_says_what_to_delete(runs, tmp_path):
    finish(Chain(compose(runs[0])), SCORES, warnings=("task bbh gave no result: no data",))
    each = expected.look(runs, tmp_path)[0]
    assert each.state is State.failed
    assert "task bbh gave no result: no data; delete" in each.reason


def test_what_the_hub_would_have_to_say_is_asked_once_and_said_once(tmp_path, monkeypatch):
    asked = []

    def unreachable(name, revision, kind):
        asked.append(name)
        raise OSError("no route")

    monkeypatch.setattr(hub, "_ask_hub", unreachable)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    overrides = [["experiment=paper", f"seed={s}", "selection=random"] for s in range(4)]
    looked = expected.look(overrides, tmp_path)
    assert {each.state for each in looked} == {State.unknown}
    (line,) = expected.explain(looked)
    assert line.startswith("cannot be known here (4 runs): dataset jlpang888/tulu_300k")
    assert len(asked) == 1


def test_remembered_compositions_equal_composed_ones(tmp_path):
    runs = [*load_sweep("lima").runs()[:2], load_sweep("mini_ablations").runs()[-1], ["selection=random"]]
    first, again = compose_all(runs, memory=tmp_path), compose_all(runs, memory=tmp_path)
    assert first == again == [compose(run) for run in runs]


def test_a_memory_of_another_conf_or_a_broken_one_is_not_read(tmp_path, monkeypatch):
    runs = [["selection=random"]]
    compose_all(runs, memory=tmp_path)
    (memory,) = Path(tmp_path).glob(".composed-*.json")
    key = "selection=random"
    kept = {"groups": ["[" * 100_000], "runs": {key: {"config": {"pool": {"group": 0}}, "environment": {}}}}
    odd = [kept, kept | {"groups": [1]}, {"groups": ["5"]}, kept | {"groups": []}, kept | {"runs": {key: 5}}]
    for text in ("{", "[" * 100_000, "5", *map(json.dumps, odd)):
        memory.write_text(text)
        assert compose_all(runs, memory=tmp_path)[0].selection.name == "random"
    monkeypatch.setattr("ds2.config.compose_cache._sources", lambda *used: "other")
    compose_all(runs, memory=tmp_path)
    assert [p.name for p in tmp_path.glob(".composed-*")] == [".composed-other.json"]


def test_two_clones_of_one_version_share_the_memory(tmp_path):
    """Each in a process of its own, which imports that clone."""
    say = "from ds2.config.compose_cache import _sources; print(_sources(()))"
    hashes = set()
    for name in ("one", "two"):
        for room in ("ds2", "conf", "experiments"):
            shutil.copytree(project_root() / room, tmp_path / name / room)
        shutil.copy(project_root() / "pyproject.toml", tmp_path / name)
        clone = {**os.environ, "PYTHONPATH": str(tmp_path / name)}
        hashes.add(subprocess.check_output([sys.executable, "-c", say], env=clone, text=True, cwd=tmp_path))
    assert len(hashes) == 1
    changed = tmp_path / "two" / "conf" / "config.yaml"
    changed.write_text(changed.read_text() + "\n# one more line\n")
    hashes.add(subprocess.check_output([sys.executable, "-c", say], env=clone, text=True, cwd=tmp_path))
    assert len(hashes) == 2


def test_a_changed_environment_is_seen(tmp_path, monkeypatch):
    runs = [["pool.samples=${oc.env:SIZE}"], ["pool.samples=30"]]
    for size in (300, 400, 300):
        monkeypatch.setenv("SIZE", str(size))
        first, other = compose_all(runs, memory=tmp_path)
        assert (first.pool.samples, other.pool.samples) == (size, 30)


def test_what_other_resolvers_read_is_composed_each_time(tmp_path, monkeypatch):
    counter = iter(range(7, 100))
    OmegaConf.register_new_resolver("test_count", lambda: next(counter))
    try:
        runs = [["pool.samples=${test_count:}"]]
        first, again = (compose_all(runs, memory=tmp_path)[0].pool.samples for _ in range(2))
        assert again > first
    finally:
        OmegaConf.clear_resolver("test_count")


def test_the_working_folder_is_no_part_of_the_memory(tmp_path, monkeypatch):
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        monkeypatch.chdir(folder)
        (config,) = compose_all([["paths.wandb=w"]], memory=tmp_path)
        assert config.paths.wandb == str(folder / "w")


def test_the_base_model_has_no_run_that_ends_with_a_selection(tmp_path):
    base = ["selection=base", "until=select", f"paths.artifacts={tmp_path}"]
    other = ["selection=random", "until=select", f"paths.artifacts={tmp_path}"]
    assert len(expected.look([base, other], tmp_path)) == 1
    with pytest.raises(UserError, match="selection=base selects nothing: until=select leaves nothing to do"):
        Chain(compose(base))


def test_rows_kept_apart_are_known_by_content(tmp_path):
    def evaluation(*overrides):
        chain = Chain(compose(["selection=base", f"paths.artifacts={tmp_path}/store", *overrides]))
        return next(step for step in chain.steps if step.stage == "evaluate")

    first, other = tmp_path / "apart.jsonl", tmp_path / "moved" / "apart.jsonl"
    other.parent.mkdir()
    for file in (first, other):
        file.write_text('{"messages": []}\n')
    apart = evaluation(f"eval.held_out=[{first}]")
    assert apart.fingerprint == evaluation(f"eval.held_out=[{other}]").fingerprint
    assert apart.fingerprint != evaluation().fingerprint
    assert "held_out_tokens" not in evaluation().identity["eval"]
    other.write_text('{"messages": [1]}\n')
    assert apart.fingerprint != evaluation(f"eval.held_out=[{other}]").fingerprint
    with pytest.raises(UserError, match="eval.held_out: .*gone.jsonl: no such file"):
        evaluation(f"eval.held_out=[{tmp_path}/gone.jsonl]")
