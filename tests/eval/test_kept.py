"""An evaluation that was interrupted asks only what it has not finished, and comes to the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eval import run, truthful
from eval.run import evaluate
from eval.spec import EvalSpec

MakeSpec = Callable[..., EvalSpec]
TASKS = ["mini_familiar", "mini_new"]


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


class Asked:
    """What the model is asked, until there has been enough."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tasks: list[str] = []
        self.most = 99
        self._monkeypatch = monkeypatch
        self._count(run, "_run_task", 0)
        self._count(run.held_out, "measure", 1)

    def _count(self, module: Any, name: str, place: int) -> None:
        ask = getattr(module, name)

        def counted(*given: Any, **named: Any) -> Any:
            if len(self.tasks) == self.most:
                raise KeyboardInterrupt
            self.tasks.append(given[place])
            return ask(*given, **named)

        self._monkeypatch.setattr(module, name, counted)


@pytest.fixture
def spec(make_spec: MakeSpec, tmp_path: Path) -> EvalSpec:
    rows = tmp_path / "apart.jsonl"
    turns = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "good day"}]
    rows.write_text(json.dumps({"messages": turns}) + "\n")
    return make_spec(tasks=TASKS, held_out=[str(rows)], output="evaluation")


@pytest.mark.parametrize("finished", [1, 2, 3])
def test_an_interrupted_evaluation_asks_only_what_is_left(
    spec: EvalSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: int
) -> None:
    whole = evaluate(replace(spec, output_dir=str(tmp_path / "whole")))
    assert whole.errors == {}
    asked = Asked(monkeypatch)
    asked.most = finished
    patch = pytest.MonkeyPatch()
    if finished == 3:  # all is asked, and its writing interrupted
        patch.setattr(run, "write_answered", interrupt)
    with pytest.raises(KeyboardInterrupt):
        evaluate(spec)
    patch.undo()
    asked.most = 3
    assert evaluate(spec) == whole
    assert asked.tasks == [*TASKS, "apart"]
    for file in ("results.json", "samples.parquet"):
        assert (Path(spec.output_dir) / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_what_is_damaged_or_of_other_settings_is_asked_again(
    spec: EvalSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(monkeypatch)
    evaluate(spec)
    file = next(Path(spec.output_dir).glob("finished_tasks/*"))
    damaged = json.loads(file.read_text())["task"]
    file.write_text(file.read_text()[:-9])
    asked.tasks.clear()
    evaluate(spec)
    assert asked.tasks == [damaged]
    for change in ({"data_seed": 1}, {"limit": 2}, {"dtype": "bfloat16"}):
        asked.tasks.clear()
        evaluate(replace(spec, config=replace(spec.config, **change)))
        assert asked.tasks == [*TASKS, "apart"]
    with Path(spec.config.held_out[0]).open("a") as rows:
        rows.write("\n")
    asked.tasks.clear()
    evaluate(replace(spec, config=replace(spec.config, dtype="bfloat16")))
    assert "apart" in asked.tasks


def test_answers_whose_judges_were_interrupted_are_judged_and_not_asked_again(
    spec: EvalSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task of ours stands for TruthfulQA."""
    monkeypatch.setattr(truthful, "TASK", TASKS[0])
    monkeypatch.setattr(truthful, "ask_judge", lambda judge, mark, pairs, spec: [True for _ in pairs])
    run_task = run._run_task

    def with_questions(*given: Any, **named: Any) -> Any:
        output = run_task(*given, **named)
        for sample in output["samples"][given[0]]:
            sample["doc"]["question"] = "what?"
        return output

    monkeypatch.setattr(run, "_run_task", with_questions)
    whole = evaluate(replace(spec, output_dir=str(tmp_path / "whole")))
    tasks = [result.task for result in whole.results]
    assert (tasks[0], tasks[-2:]) == (TASKS[1], [TASKS[0], "apart"])
    asked = Asked(monkeypatch)
    for module, name in ((truthful, "ask_judge"), (run.held_out, "load")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, interrupt)
            with pytest.raises(KeyboardInterrupt):
                evaluate(spec)
    assert evaluate(spec) == whole
    assert asked.tasks == [*TASKS, "apart"]
