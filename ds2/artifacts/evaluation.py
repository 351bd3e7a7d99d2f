"""The evaluation: the results of every task, and every answered question."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ds2.artifacts.reading import damaged, read_dataclass, read_table
from ds2.base.dataclass_json import to_plain
from ds2.base.json_files import write_json

if TYPE_CHECKING:
    import pandas as pd

KEPT = "finished_tasks"
"""Folder of what an interrupted evaluation goes on from."""
_RESULTS = "results.json"
_QUESTIONS = "samples.parquet"
RESPONSE_LOSS = "response_loss"
"""The metric of rows kept apart: the mean over rows of the mean loss of a response's tokens, in nats a token;
lower is better.
"""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One metric of one task, or of a member of a task that is a group."""

    task: str
    metric: str
    filter: str = ""
    """How lm-eval took the answer from what the model said."""
    value: float | None
    """A share in 0..1 wherever lm-eval's is, of `RESPONSE_LOSS` nats a token; None: not a finite number."""
    stderr: float | None
    """Standard error over the questions, in the value's unit; None: there is none."""
    n: int
    """Questions."""
    num_fewshot: int | None = None
    version: float | None = None
    """That of the task's definition."""

    @property
    def is_loss(self) -> bool:
        """Whether it is a loss in nats a token, of which less is better, and no share."""
        return self.metric == RESPONSE_LOSS


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What an evaluation found."""

    results: list[Result]
    """By task; a task's first result is its own score, and the members of a group follow it."""
    average: float | None
    """The mean score of the tasks asked for, or, where there are none, of the rows kept apart; None where one
    of them has no score.
    """
    scores: dict[str, float | None]
    """Task -> its own score."""
    missing: list[str] = field(default_factory=list)
    """Tasks that gave no result."""
    errors: dict[str, str] = field(default_factory=dict)
    """Task -> why it gave none."""
    chat_template: bool | None = None
    """Whether questions were put in the model's chat format."""
    context_tokens: int | None = None
    """The most tokens that the model takes, prompt and answer together; None: not told."""
    cut_prompts: dict[str, int] = field(default_factory=dict)
    """Task -> prompts that were longer than the model takes and lost their beginning; no task where none."""
    shortened_prompts: dict[str, int] = field(default_factory=dict)
    """Task -> prompts that were asked with fewer examples than the task has, to fit; no task where none."""
    left_out: dict[str, int] = field(default_factory=dict)
    """File of rows kept apart -> rows without a response within the most tokens; no file where none."""
    harness_version: str = ""
    """lm-eval's version; empty where it was asked nothing."""
    wall_seconds: float | None = None
    """In evaluations made before the record alone told it."""

    @property
    def average_is_loss(self) -> bool:
        """Whether the average is one of losses: no task was asked beside the rows kept apart."""
        return bool(self.results) and all(result.is_loss for result in self.results)

    def result(self, task: str) -> Result:
        """A task's own score with its error and number of questions. Raises KeyError where it has none."""
        for result in self.results:
            if result.task == task:
                return result
        raise KeyError(task)

    def write(self, folder: Path) -> None:
        """Raises ValueError for a number that is not finite."""
        write_json(folder / _RESULTS, to_plain(self))

    @classmethod
    def read(cls, folder: Path) -> Evaluation:
        """What `write` wrote into the folder of an `evaluate` artifact.

        Raises:
            DamagedArtifact: naming the file and the key at fault.
        """
        evaluation = read_dataclass(cls, folder / _RESULTS)
        told = {result.task for result in evaluation.results}
        for task in evaluation.scores:
            if task not in told:
                raise damaged(folder / _RESULTS, f"Evaluation.scores.{task}: no result has this task")
        return evaluation


@dataclass(frozen=True)
class AnsweredQuestion:
    """What the model answered to one question."""

    task: str
    doc_id: int
    """The question's number within its task."""
    prompt: str
    target: str
    answer: str
    """Generated text, or the choice of highest likelihood."""
    score: float | None
    """By the task's first metric; of a row kept apart, its loss."""


def write_answered(folder: Path, questions: Iterable[AnsweredQuestion]) -> None:
    """The table of answered questions."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.string()
    types = {
        "task": text,
        "doc_id": pa.int64(),
        "prompt": text,
        "target": text,
        "answer": text,
        "score": pa.float64(),
    }
    rows = [asdict(question) for question in questions]
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(types)), folder / _QUESTIONS)


def read_answered(folder: Path, *columns: str) -> pd.DataFrame | None:
    """The answered questions, a row each, with the named fields of `AnsweredQuestion` as columns (all, where
    none is named); a score that is not known is NaN. None where the evaluation kept no answers. Raises
    DamagedArtifact.
    """
    path = folder / _QUESTIONS
    return read_table(path, columns or None) if path.is_file() else None
