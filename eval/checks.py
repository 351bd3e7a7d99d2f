"""What can be known of an evaluation before it starts.

Each function gives the problems it finds, a line each, with the option to change; none of them needs a run.
`config_problems` reads values and file names alone; `task_problems` takes 10 s or more where a name is
neither ours nor the paper's, since lm-eval's index has to be built.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from ds2.config import EvalBackend, EvalConfig
from ds2.models.devices import device_problem, dtype_problem
from eval.data import missing_files

TASKS = Path(__file__).parent / "tasks"
PAPER_TASKS = {"mmlu", "truthfulqa_mc2"}
"""Tasks of lm-eval that the paper asks, and that its index always has."""


def config_problems(config: EvalConfig) -> list[str]:
    """What is wrong with the values, and which files or packages they need that are not there."""
    asked = [*config.tasks, *config.companions]
    generated = [task for task in asked if task.startswith("mini_")]
    rules = [
        (
            bool(config.tasks or config.held_out),
            "tasks is empty: name a task, or use eval=none",
        ),
        (
            config.held_out_tokens >= 1,
            f"held_out_tokens={config.held_out_tokens} must be at least 1",
        ),
        (
            not config.held_out or config.backend is EvalBackend.hf,
            "held_out needs eval.backend=hf",
        ),
        (config.limit is None or config.limit >= 1, f"limit={config.limit} must be at least 1, or null"),
        (
            not generated or config.data_samples >= 1,
            f"data_samples={config.data_samples} must be at least 1: {', '.join(generated)} asks so many "
            "generated questions",
        ),
    ]
    problems = [f"eval.{line}" for fine, line in rules if not fine] + engine_problems(config)
    problems += [
        f"eval.held_out: {file}: no such file" for file in config.held_out if not Path(file).is_file()
    ]
    asked += config.held_out_tasks
    repeated = sorted({task for task in asked if asked.count(task) > 1})
    if repeated:
        problems.append(f"eval.tasks: {', '.join(repeated)} is asked twice")
    if config.data_dir is not None:
        folder = Path(config.data_dir).expanduser()
        missing = missing_files(asked, folder)
        if not folder.is_dir():
            problems.append(f"eval.data_dir={config.data_dir}: no such folder")
        elif missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            problems.append(f"eval.data_dir={config.data_dir} has no {', '.join(missing[:3])}{more}")
    return problems


def engine_problems(config: EvalConfig) -> list[str]:
    """What is wrong with the settings that load the model: all that `python -m eval answer` reads of them."""
    runtime = config.runtime
    rules = [
        (runtime.batch_size >= 1, f"runtime.batch_size={runtime.batch_size} must be at least 1"),
        (
            runtime.threads is None or runtime.threads >= 1,
            f"runtime.threads={runtime.threads} must be at least 1",
        ),
        (
            config.backend is not EvalBackend.vllm or find_spec("vllm") is not None,
            "backend=vllm needs vLLM: pip install 'ds2[vllm]', or use eval.backend=hf",
        ),
    ]
    problems = [f"eval.{line}" for fine, line in rules if not fine]
    problems += filter(None, [dtype_problem("eval.dtype", config.dtype)])
    problems += filter(None, [device_problem("eval.runtime.device", runtime.device)])
    return problems


def task_problems(config: EvalConfig) -> list[str]:
    """Tasks that neither this project nor lm-eval has, with the nearest names."""
    unsure = [task for task in [*config.tasks, *config.companions] if task not in own_tasks() | PAPER_TASKS]
    if not unsure:
        return []
    from lm_eval.tasks import TaskManager

    known = TaskManager(include_path=[str(TASKS)]).all_tasks
    return [unknown_task(task, known) for task in unsure if task not in known]


def unknown_task(task: str, known: Iterable[str], option: str = "eval.tasks") -> str:
    """One line that names the nearest of the known ones."""
    near = difflib.get_close_matches(task, known, n=3)
    hint = f"; near it: {', '.join(near)}" if near else ""
    return f"{option}: {task} is neither a task of eval/tasks/ nor one of lm-eval's{hint}"


def own_tasks() -> set[str]:
    """Names of this project's tasks."""
    return {path.stem for path in TASKS.rglob("*.yaml") if not path.stem.startswith("_")}
