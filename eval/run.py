"""One evaluation: find the tasks, load the model, run each task by itself, keep every figure and every
answer.
"""

from __future__ import annotations

import gc
import logging
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ds2.artifacts.evaluation import Evaluation, write_answered
from ds2.base.checks import refuse
from ds2.base.drafts import is_disk_full
from ds2.base.errors import UserError, lacks_memory
from ds2.base.processes import ended_as_asked
from ds2.base.progress import Bar
from ds2.base.threads import torch_threads
from ds2.models.attention import attention_of_any_length
from ds2.models.quiet import quiet_transformers
from eval import held_out, truthful
from eval.checks import TASKS, config_problems, unknown_task
from eval.engines import has_chat_template, load_engine
from eval.kept import Kept, TaskOutcome
from eval.prompts import Fitting, TooLong
from eval.results import answered_questions, metric_results
from eval.spec import EvalSpec

PAPER_FOLDERS = ("gsm8k", "bbh/cot_fewshot", "tydiqa", "mmlu/default", "truthfulqa")
"""Folders of lm-eval's tasks on which `eval/tasks/paper/` builds."""
MEMORY_HELP = "lower eval.runtime.batch_size, or set eval.dtype=bfloat16 or eval.backend=vllm"


@dataclass
class _Found:
    """What is known of the tasks so far."""

    kept: Kept
    outcomes: dict[str, TaskOutcome] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    chat_template: bool | None = None
    context_tokens: int | None = None

    def take_kept(self, tasks: Sequence[str]) -> list[str]:
        """Take what an interrupted evaluation has finished; the tasks that are left."""
        for task in tasks:
            outcome = self.kept.read(task)
            if outcome is not None:
                self.outcomes[task] = outcome
                if outcome.context_tokens is not None:
                    self.chat_template, self.context_tokens = outcome.chat_template, outcome.context_tokens
        return [task for task in tasks if task not in self.outcomes]

    def finish(self, task: str, outcome: TaskOutcome) -> None:
        """Take and keep it."""
        self.outcomes[task] = outcome
        self.kept.write(task, outcome)

    def counts(self, name: str) -> dict[str, int]:
        """Of the tasks that have one."""
        counts = {task: getattr(outcome, name) for task, outcome in self.outcomes.items()}
        return {task: count for task, count in counts.items() if count}


def evaluate(spec: EvalSpec) -> Evaluation:
    """Evaluate as the spec says; write the evaluation and every answered question into `spec.output_dir`;
    return the evaluation.

    `results` holds a row for each metric of each task, `average` the mean over the tasks asked for of each
    one's first metric (over the rows kept apart, where no task is asked); None where one of them failed. A
    task that fails is named in `missing`, its reason in `errors`, and does not lose the others.

    Raises UserError for wrong settings (all of them named), an unknown task, an adapter of another base
    model, too little memory, a prompt that does not fit (`on_long_prompts=fail`), or when no task succeeds;
    what was raised over a full disk.
    """
    refuse(config_problems(spec.config))
    found = _Found(Kept(spec))
    with (
        quiet_transformers(),
        torch_threads(spec.config.runtime.threads),
        attention_of_any_length(),
    ):
        if spec.config.tasks or spec.config.companions:
            _ask_tasks(spec, found)
        if spec.config.held_out:
            _free_memory()
            _read_held_out(spec, found)
    results = {task: outcome.results for task, outcome in found.outcomes.items() if task not in found.errors}
    if not results:
        raise UserError(
            "no task could be evaluated: " + "; ".join(f"{task}: {why}" for task, why in found.errors.items())
        )
    scores = {task: of_task[0].value for task, of_task in results.items()}
    averaged = spec.config.tasks or spec.config.held_out_tasks
    asked = [score for task in averaged if (score := scores.get(task)) is not None]
    whole = len(asked) == len(averaged)  # a mean over the others would be another quantity
    evaluation = Evaluation(
        results=[result for of_task in results.values() for result in of_task],
        average=float(np.mean(asked)) if whole else None,
        scores=scores,
        missing=list(found.errors),
        errors=found.errors,
        chat_template=found.chat_template,
        context_tokens=found.context_tokens,
        cut_prompts=found.counts("cut"),
        left_out=found.counts("left_out"),
        shortened_prompts=found.counts("shortened"),
        harness_version=version("lm_eval") if found.context_tokens is not None else "",
    )
    output_dir = Path(spec.output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    asked_for = (*spec.config.tasks, *spec.config.companions, *spec.config.held_out_tasks)
    outcomes = [found.outcomes[task] for task in asked_for if task in found.outcomes]
    write_answered(output_dir, [question for outcome in outcomes for question in outcome.answered])
    evaluation.write(output_dir)
    return evaluation


def _ask_tasks(spec: EvalSpec, found: _Found) -> None:
    """lm-eval's tasks and ours, one by one, and then the judges of answers."""
    tasks = [*spec.config.tasks, *spec.config.companions]
    with quiet_harness():
        left = found.take_kept(tasks)
        if left:
            _ask_model(left, spec, found)
        found.outcomes = {task: found.outcomes[task] for task in tasks if task in found.outcomes}
        for task in [task for task, outcome in found.outcomes.items() if outcome.unjudged]:
            _free_memory()  # for the judges
            outcome = found.outcomes[task]
            with _one_task(task, found.errors):
                judged, answered = truthful.judge_answers(outcome.answered, outcome.unjudged, spec)
                results = judged + outcome.results
                found.finish(task, replace(outcome, results=results, answered=answered, unjudged=[]))
        if truthful.TASK in found.outcomes:  # judged, it is the last
            found.outcomes[truthful.TASK] = found.outcomes.pop(truthful.TASK)


def _ask_model(tasks: Sequence[str], spec: EvalSpec, found: _Found) -> None:
    manager = task_manager(spec)
    lm = load_engine(spec)
    chat, context = has_chat_template(lm), int(lm.max_length)
    found.chat_template, found.context_tokens = chat, context
    for task in tasks:
        with _one_task(task, found.errors):
            fitting = Fitting(lm, task, spec.config.on_long_prompts)
            output = _run_task(task, fitting, manager, spec, chat=chat)
            judged = output["samples"][task] if task == truthful.TASK else []
            outcome = TaskOutcome(
                results=metric_results(task, output),
                answered=list(answered_questions(output)),
                cut=fitting.cut,
                shortened=fitting.shortened,
                unjudged=[sample["doc"]["question"] for sample in judged],
                chat_template=chat,
                context_tokens=context,
            )
            found.finish(task, outcome)


def _read_held_out(spec: EvalSpec, found: _Found) -> None:
    """The loss of the model on each file of rows that were kept apart."""
    files = dict(zip(spec.config.held_out_tasks, spec.config.held_out, strict=True))
    left = found.take_kept(list(files))
    if left:
        reader = held_out.load(spec)
    for task in left:
        with _one_task(task, found.errors):
            results, answered, left_out = held_out.measure(reader, task, Path(files[task]), spec)
            found.finish(task, TaskOutcome(results, answered, left_out=left_out))
    for task in files:  # in their order
        if task in found.outcomes:
            found.outcomes[task] = found.outcomes.pop(task)


def task_manager(spec: EvalSpec) -> Any:
    """lm-eval's index of the tasks asked for: the generated ones, else the paper's, else all that lm-eval
    has.

    Each is larger than the one before; the last takes 10 s or more to build. Raises UserError for an unknown
    name.
    """
    import lm_eval.tasks
    from lm_eval.tasks import TaskManager

    config = spec.config
    asked = [*config.tasks, *config.companions]
    built_in = Path(lm_eval.tasks.__file__).parent
    mini = [str(TASKS / "mini")]
    paper = [str(TASKS), *(str(built_in / folder) for folder in PAPER_FOLDERS)]
    for folders, everything in ((mini, False), (paper, False), (paper, True)):
        manager = TaskManager(include_path=folders, include_defaults=everything, metadata=_settings(spec))
        unknown = [task for task in asked if task not in manager.all_tasks]
        if not unknown:
            return manager
    raise UserError("; ".join(unknown_task(task, manager.all_tasks) for task in unknown))


def _settings(spec: EvalSpec) -> dict[str, Any]:
    """What the functions of `eval.data` are told."""
    config = spec.config
    return {
        "data_samples": config.data_samples,
        "data_seed": config.data_seed,
        "data_dir": config.data_dir,
        "subsample": config.subsample,
        "pool_seed": spec.pool_seed,
        "tokenizer": spec.adapter or spec.base_model,
        "tokenizer_revision": None if spec.adapter else spec.revision,
    }


def _run_task(task: str, fitting: Fitting, manager: Any, spec: EvalSpec, *, chat: bool) -> Any:
    import torch
    from lm_eval.evaluator import evaluate as run

    loaded = manager.load([task])
    for member in loaded["tasks"].values():
        if member.get_config("num_fewshot") is None:
            member.set_config(key="num_fewshot", value=0)
        member.set_fewshot_seed(seed=spec.config.data_seed)
        fitting.watch(member)
    random.seed(spec.seed)
    np.random.seed(spec.seed)
    torch.manual_seed(spec.seed)
    return run(
        fitting.lm,
        task_dict=loaded,
        limit=spec.config.limit,
        apply_chat_template=chat,
        fewshot_as_multiturn=chat and spec.config.fewshot_as_multiturn,
    )


@contextmanager
def _one_task(task: str, errors: dict[str, str]) -> Iterator[None]:
    """Whatever a task's data or code does, the others go on; what would stop them too is raised."""
    import torch

    try:
        with ended_as_asked():
            yield
    except TooLong:
        raise  # the person wants to be told
    except torch.OutOfMemoryError as error:
        raise UserError(f"out of GPU memory in {task}: {MEMORY_HELP}") from error
    except Exception as error:
        if is_disk_full(error):
            raise
        if lacks_memory(error):
            raise UserError(f"out of memory in {task}: {MEMORY_HELP}") from error
        errors[task] = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


def _free_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def quiet_harness() -> Iterator[None]:
    """Without the hints that lm-eval prints for people at a prompt; the bar over questions stays."""
    import lm_eval.api.task
    import lm_eval.models.huggingface

    harness, bar = logging.getLogger("lm_eval"), lm_eval.api.task.tqdm
    questions_bar = lm_eval.models.huggingface.tqdm
    level = harness.level
    harness.setLevel(logging.ERROR)
    lm_eval.api.task.tqdm = partial(bar, disable=True)  # a nameless bar for building prompts
    lm_eval.models.huggingface.tqdm = Bar
    try:
        yield
    finally:
        lm_eval.api.task.tqdm = bar
        lm_eval.models.huggingface.tqdm = questions_bar
        harness.setLevel(level)
