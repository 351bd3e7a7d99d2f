"""Tasks that an evaluation has finished: kept until it is published, so that one that was interrupted asks
only the others.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ds2.artifacts.evaluation import KEPT, AnsweredQuestion, Result
from ds2.base.dataclass_json import from_plain, to_plain
from ds2.base.drafts import replacing
from ds2.base.hashes import stamp_of
from ds2.base.json_files import read_json, write_json
from eval.spec import EvalSpec


@dataclass
class TaskOutcome:
    """What came of one task."""

    results: list[Result]
    answered: list[AnsweredQuestion]
    cut: int = 0
    """Prompts that lost their beginning."""
    shortened: int = 0
    """Prompts that were asked with fewer examples."""
    left_out: int = 0
    """Rows kept apart that have no response within the most tokens."""
    unjudged: list[str] = field(default_factory=list)
    """The questions, where judges are still to be asked."""
    chat_template: bool | None = None
    context_tokens: int | None = None


class Kept:
    """The finished tasks of one evaluation, a file each in its output folder."""

    def __init__(self, spec: EvalSpec) -> None:
        self._folder = Path(spec.output_dir) / KEPT
        self._spec = _identity(spec)

    def read(self, task: str) -> TaskOutcome | None:
        """None where the task is not finished, or was for other settings or another model."""
        try:
            value = read_json(self._file(task))
            return from_plain(TaskOutcome, value["outcome"]) if value["spec"] == self._spec else None
        except (OSError, ValueError, KeyError, TypeError):  # none, or damaged: it is asked again
            return None

    def write(self, task: str, outcome: TaskOutcome) -> None:
        """An outcome with a number that is not finite is not kept."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with suppress(ValueError), replacing(self._file(task), durable=True) as draft:
            write_json(draft, {"task": task, "spec": self._spec, "outcome": to_plain(outcome)})

    def _file(self, task: str) -> Path:
        return self._folder / f"{hashlib.sha256(task.encode()).hexdigest()[:16]}.json"


def _identity(spec: EvalSpec) -> dict[str, Any]:
    """All that an outcome depends on beside the task."""
    plain = to_plain(spec)
    for name in ("output_dir", "progress"):
        del plain[name]
    for name in ("runtime", "tasks", "companions", "held_out", "name"):
        del plain["config"][name]
    folders = [Path(path) for path in (spec.base_model, spec.adapter) if path and Path(path).is_dir()]
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    files += [Path(path) for path in spec.config.held_out if Path(path).is_file()]
    stamps = {str(path): stamp_of(path.stat()) for path in files}
    asks = spec.config.tasks or spec.config.companions  # rows kept apart are read without lm-eval
    return {**plain, "files": stamps, "lm_eval": version("lm_eval") if asks else None}
