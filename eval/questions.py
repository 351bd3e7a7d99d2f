"""The questions of evaluation sets as texts, for a pool to be searched for them (`pool.decontaminate`).

All questions of a set, whatever `eval.subsample` and `eval.limit` say: which of them are asked is a choice of
the run, what the pool may hold is not. Our own sets and the paper's are read as `eval.data` reads them, with
or without the prefix `paper_`; any other name is a task of lm-eval, whose test split is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ds2.base.errors import MissingInput, UserError
from ds2.config import EvalConfig
from ds2.pool.questions import question_of
from eval import data


def questions_of(name: str, config: EvalConfig) -> list[str]:
    """The different questions of a set.

    Raises:
        UserError: an unknown name, or a set without questions.
        MissingInput: its data cannot be had.
    """
    try:
        texts = _read(name, config)
    except UserError:
        raise
    except Exception as error:  # whatever a loader raises is told as the reason
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MissingInput(
            f"pool.decontaminate: the questions of {name} cannot be had ({reason}); fetch them with "
            "prepare=true where the hub can be reached, or name a file of questions"
        ) from error
    questions = list(dict.fromkeys(text.strip() for text in texts if text.strip()))
    if not questions:
        raise UserError(f"pool.decontaminate: {name} has no question")
    return questions


def _read(name: str, config: EvalConfig) -> list[str]:
    folder = config.data_dir
    readers: dict[str, Callable[[], list[str]]] = {
        "gsm8k": lambda: _column(data.gsm8k_rows(folder), "question"),
        "bbh": lambda: [
            row["input"] for subject in data.bbh_subjects() for row in data.bbh_rows(subject, folder)
        ],
        "truthfulqa": lambda: _column(data.truthfulqa_rows(folder), "question"),
        "tydiqa": lambda: [
            row["question"] for language in _languages() for part in data.tydiqa_rows(language, folder)
            for row in part
        ],
    }  # fmt: skip
    reader = readers.get(name.removeprefix("paper_"))
    if reader is not None:
        return reader()
    if name.startswith("mini_"):
        from ds2.mini import generate_questions

        rows = generate_questions(
            name.removeprefix("mini_"), samples=max(config.data_samples, 1), seed=config.data_seed,
            pool_seed=0,
        )  # fmt: skip
        return _column(rows, "prompt")
    return _of_task(name)


def _column(rows: list[dict[str, Any]], name: str) -> list[str]:
    return [row[name] for row in rows]


def _languages() -> list[str]:
    task = Path(__file__).parent / "tasks" / "paper" / "paper_tydiqa.yaml"
    return re.findall(r"\blanguage: (\w+)", task.read_text(encoding="utf-8"))


def _of_task(name: str) -> list[str]:
    """The questions of a task of lm-eval, or of each task of a group."""
    from lm_eval.tasks import TaskManager

    from eval.checks import TASKS, unknown_task

    manager = TaskManager(include_path=[str(TASKS)])
    if name not in manager.all_tasks:
        raise UserError(unknown_task(name, manager.all_tasks, "pool.decontaminate") + "; nor a file")
    texts = []
    for task in manager.load([name])["tasks"].values():
        rows = task.test_docs() if task.has_test_docs() else task.validation_docs()
        for row in rows or ():
            asked = question_of(row)
            texts.append(str(task.doc_to_text(row)) if asked is None else asked)
    return texts
