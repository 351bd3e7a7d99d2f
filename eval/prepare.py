"""Benchmark data on this machine before it is needed: what `ds2 prepare=true` asks of an evaluation."""

from __future__ import annotations

from pathlib import Path

from ds2.base.errors import MissingInput, UserError
from ds2.base.processes import ended_as_asked
from ds2.config import EvalConfig
from eval import truthful
from eval.run import quiet_harness, task_manager
from eval.spec import EvalSpec


def prepare_tasks(config: EvalConfig, *, base_model: str, revision: str | None) -> str:
    """Load every task's data once, and the judges' weights, so that the hub's cache holds them; says what is
    there.

    Raises:
        UserError: an unknown task.
        MissingInput: naming each task whose data cannot be had, and why.
    """
    spec = EvalSpec(base_model, revision, adapter=None, output_dir="", seed=0, config=config)
    manager = task_manager(spec)
    missing = []
    for task in [*config.tasks, *config.companions]:
        try:
            with ended_as_asked(), quiet_harness():
                manager.load([task])
        except Exception as error:  # noqa: BLE001 - whatever a task's loader raises is told as its reason
            missing.append(f"{task}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
    if truthful.TASK in config.tasks + config.companions:
        missing += _missing_judges(config)
    if missing:
        raise MissingInput("; ".join(missing))
    return f"{len(config.tasks) + len(config.companions)} tasks"


def _missing_judges(config: EvalConfig) -> list[str]:
    from ds2.base.hub import fetch

    missing = []
    for judge in (config.truth_judge, config.info_judge):
        try:
            if not Path(judge).expanduser().exists():
                fetch(judge, None, kind="model")
        except UserError as error:
            missing.append(f"judge of {truthful.TASK}: {error}")
    return missing
