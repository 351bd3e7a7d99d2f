"""Evaluated runs that were never run: what a table and a store read of them, from planted scores."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from ds2.artifacts.evaluation import AnsweredQuestion, Evaluation, Result, write_answered
from ds2.artifacts.run import RunResult
from ds2.artifacts.step import Outcome, StageResult, Status
from ds2.config import RunConfig
from ds2.config.compose import compose
from ds2.runs.chain import Chain


@cache
def _composed(overrides: tuple[str, ...]) -> RunConfig:
    return compose(["experiment=mini", *overrides])


def evaluated(
    folder: Path,
    values: Mapping[str, float],
    *overrides: str,
    seed: int = 1,
    questions: Mapping[str, Sequence[float]] | None = None,
    asked: Sequence[str] | None = None,
    metric: str = "em",
) -> RunResult:
    """A run with these scores by task; `questions` are the scores of each question, kept as answered
    questions; `asked` names the tasks that were asked for, where some gave no score.
    """
    config = replace(_composed(overrides), seed=seed)
    name = f"{zlib.crc32(json.dumps([*overrides, seed]).encode()):016x}"
    record = {"warnings": [], "config": {"eval": {"tasks": list(asked or values)}}}
    path = folder / name
    path.mkdir(parents=True)
    write_evaluation(path, values, questions, metric)
    evaluation = StageResult("evaluate", name, path, Status.reused, 0.0, record)
    return RunResult(config, f"run-{name}", name, {"evaluate": evaluation})


def write_evaluation(
    folder: Path,
    values: Mapping[str, float],
    questions: Mapping[str, Sequence[float]] | None = None,
    metric: str = "em",
) -> None:
    """The evaluation and, with `questions`, the answered questions."""
    results = [Result(task=t, metric=metric, value=v, stderr=0.01, n=100) for t, v in values.items()]
    average = sum(values.values()) / len(values)
    Evaluation(results=results, scores=dict(values), average=average).write(folder)
    if questions is not None:
        write_answered(
            folder,
            [
                AnsweredQuestion(task, i, "", f"t{i}", "", score)
                for task, scores in questions.items()
                for i, score in enumerate(scores)
            ],
        )


def finish(
    chain: Chain,
    values: Mapping[str, float],
    questions: Mapping[str, Sequence[float]] | None = None,
    *,
    warnings: tuple[str, ...] = (),
    versions: Mapping[str, int] | None = None,
) -> None:
    """Put every stage of a run into its store, the evaluation with these scores; `versions` of stages may be
    older ones.
    """
    old: dict[str, str] = {}
    for step in chain.steps:

        def compute(folder: Path, stage: str = step.stage) -> Outcome:
            if stage == "evaluate":
                write_evaluation(folder, values, questions)
            return Outcome(warnings=warnings if stage == "evaluate" else ())

        inputs = {name: old.get(value, value) for name, value in step.inputs.items()}
        version = (versions or {}).get(step.stage, step.version)
        made = replace(step, compute=compute, inputs=inputs, version=version)
        chain.store.obtain(made)
        old[step.fingerprint] = made.fingerprint
