"""The questions of our own tasks, as lm-eval asks for them: one function a task, named in its YAML.

Each is called with the task's metadata and the evaluation's settings (`data_samples`, `data_seed`, `pool_seed`,
`data_dir`), and returns a dict of splits. Built in memory: nothing is downloaded or cached on disk.
"""

from __future__ import annotations

from typing import Any


def mini_familiar(*, data_samples: int, data_seed: int, pool_seed: int, **_: Any) -> dict[str, Any]:
    """Held-out questions in the generated pool's phrasings and topics."""
    return _mini("familiar", data_samples, data_seed, pool_seed)


def mini_new(*, data_samples: int, data_seed: int, pool_seed: int, **_: Any) -> dict[str, Any]:
    """Questions in any phrasing and topic."""
    return _mini("new", data_samples, data_seed, pool_seed)


def _mini(kind: str, samples: int, seed: int, pool_seed: int) -> dict[str, Any]:
    from ds2.mini import generate_questions

    if samples < 1:
        raise ValueError("generated questions need eval.data_samples of at least 1")
    return _test_split(generate_questions(kind, samples=samples, seed=seed, pool_seed=pool_seed))


def _test_split(rows: list[dict[str, Any]]) -> dict[str, Any]:
    from datasets import Dataset

    return {"test": Dataset.from_list(rows)}
