"""The questions of our own tasks, as lm-eval asks for them: one function a task, named in its YAML.

Each is called with the task's metadata and the evaluation's settings (`data_samples`, `data_seed`,
`pool_seed`, `data_dir`, `subsample`, `tokenizer`), and returns a dict of splits, built in memory. With
`data_dir`, benchmarks are read from that folder and nothing is downloaded:

- `gsm8k_test.jsonl`: question, answer
- `bbh/<task>.json`: {"examples": [{"input", "target"}]}
- `truthfulqa.jsonl`: question, best_answer
- `tydiqa*.jsonl`: id, lang, context, question, answers [{"text"}]; `train` rows, where there are any, in
  `tydiqa_train.jsonl`
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from ds2.base.errors import MissingInput
from ds2.base.json_files import read_json, read_json_lines
from ds2.models.pretrained import load_tokens

SUBSET_SEED = 42
"""Seed of the paper's random subsets."""
GSM8K_QUESTIONS, BBH_QUESTIONS, TYDIQA_QUESTIONS = 200, 40, 100
CONTEXT_TOKENS = 512
"""Longest TyDiQA passage; the rest is cut."""

Rows = list[dict[str, Any]]


def mini_familiar(*, data_samples: int, data_seed: int, pool_seed: int, **_: Any) -> dict[str, Any]:
    """Held-out questions in the generated pool's phrasings and topics."""
    return _mini("familiar", data_samples, data_seed, pool_seed)


def mini_new(*, data_samples: int, data_seed: int, pool_seed: int, **_: Any) -> dict[str, Any]:
    """Questions in any phrasing and topic."""
    return _mini("new", data_samples, data_seed, pool_seed)


def gsm8k(*, data_dir: str | None, subsample: bool, **_: Any) -> dict[str, Any]:
    """GSM8K's test questions."""
    return _splits(test=_subset(gsm8k_rows(data_dir), GSM8K_QUESTIONS if subsample else None))


def bbh(*, subject: str, data_dir: str | None, subsample: bool, **_: Any) -> dict[str, Any]:
    """The questions of one BBH task."""
    return _splits(test=_subset(bbh_rows(subject, data_dir), BBH_QUESTIONS if subsample else None))


def truthfulqa(*, data_dir: str | None, **_: Any) -> dict[str, Any]:
    """TruthfulQA's questions, all 817 of them."""
    rows = truthfulqa_rows(data_dir)
    return _splits(test=[{key: row[key] for key in ("question", "best_answer")} for row in rows])


def tydiqa(
    *,
    language: str,
    data_dir: str | None,
    subsample: bool,
    tokenizer: str,
    tokenizer_revision: str | None,
    **_: Any,
) -> dict[str, Any]:
    """TyDiQA GoldP in one language: questions to ask, and a training split for the example.

    Where `data_dir` holds no training rows, the language's first question is the example and is not asked.
    """
    train, test = tydiqa_rows(language, data_dir)
    cut = _cutter(tokenizer, tokenizer_revision)
    train, test = train[:1], _subset(test, TYDIQA_QUESTIONS if subsample else None)
    rows = [
        {
            "id": row["id"],
            "question": row["question"],
            "context": cut(row["context"]),
            "answers": [answer["text"] for answer in row["answers"]],
        }
        for row in [*train, *test]
    ]
    return _splits(train=rows[: len(train)], test=rows[len(train) :], validation=rows[len(train) :])


def missing_files(tasks: Iterable[str], folder: Path) -> list[str]:
    """Files that these tasks read from `data_dir` and that it does not hold."""
    needed: list[str] = []
    for task in tasks:
        if task == "paper_gsm8k":
            needed.append("gsm8k_test.jsonl")
        elif task == "paper_truthfulqa":
            needed.append("truthfulqa.jsonl")
        elif task == "paper_bbh":
            needed += [f"bbh/{subject}.json" for subject in bbh_subjects()]
        elif task == "paper_tydiqa" and not _tydiqa_tests(folder):
            needed.append("tydiqa.jsonl")
    return [name for name in needed if not (folder / name).is_file()]


def gsm8k_rows(data_dir: str | None) -> Rows:
    """All test rows of GSM8K."""
    return _jsonl(Path(data_dir) / "gsm8k_test.jsonl") if data_dir else _hub("openai/gsm8k", "main", "test")


def bbh_rows(subject: str, data_dir: str | None) -> Rows:
    """All rows of one BBH task."""
    if data_dir:
        rows: Rows = read_json(_existing(Path(data_dir) / "bbh" / f"{subject}.json"))["examples"]
        return rows
    return _hub("SaylorTwift/bbh", subject, "test")


def truthfulqa_rows(data_dir: str | None) -> Rows:
    """All rows of TruthfulQA."""
    if data_dir:
        return _jsonl(Path(data_dir) / "truthfulqa.jsonl")
    return _hub("truthfulqa/truthful_qa", "generation", "validation")


def tydiqa_rows(language: str, data_dir: str | None) -> tuple[Rows, Rows]:
    """Training and test rows of TyDiQA GoldP in one language."""
    return _tydiqa_files(Path(data_dir), language) if data_dir else _tydiqa_hub(language)


def bbh_subjects() -> list[str]:
    """The names of BBH's tasks."""
    task = Path(__file__).parent / "tasks" / "paper" / "paper_bbh.yaml"
    return re.findall(r"\bsubject: (\w+)", task.read_text(encoding="utf-8"))


def _mini(kind: str, samples: int, seed: int, pool_seed: int) -> dict[str, Any]:
    from ds2.mini import generate_questions

    if samples < 1:
        raise ValueError("generated questions need eval.data_samples of at least 1")
    return _splits(test=generate_questions(kind, samples=samples, seed=seed, pool_seed=pool_seed))


def _splits(**rows: Rows) -> dict[str, Any]:
    from datasets import Dataset

    return {name: Dataset.from_list(split) for name, split in rows.items()}


def _subset(rows: Rows, size: int | None) -> Rows:
    """A seeded sample, drawn as the paper's harness draws it; all rows where there are at most `size`."""
    return rows if size is None or len(rows) <= size else Random(SUBSET_SEED).sample(rows, size)


def _hub(path: str, name: str, split: str) -> Rows:
    from datasets import load_dataset

    return list(load_dataset(path, name, split=split))


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise MissingInput(f"eval.data_dir has no {path.name}: {path}")
    return path


def _jsonl(path: Path) -> Rows:
    return [row for _, row in read_json_lines(_existing(path))]


def _tydiqa_files(folder: Path, language: str) -> tuple[Rows, Rows]:
    training, files = folder / "tydiqa_train.jsonl", _tydiqa_tests(folder)
    test = [
        row for path in files or [folder / "tydiqa.jsonl"] for row in _jsonl(path) if row["lang"] == language
    ]
    if training.is_file():
        return [row for row in _jsonl(training) if row["lang"] == language], test
    return test[:1], test[1:]


def _tydiqa_tests(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("tydiqa*.jsonl")) if path.name != "tydiqa_train.jsonl"]


def _tydiqa_hub(language: str) -> tuple[Rows, Rows]:
    splits = []
    for split in ("train", "validation"):
        rows = _hub("google-research-datasets/tydiqa", "secondary_task", split)
        in_language = [row for row in rows if row["id"].startswith(f"{language}-")]
        splits.append(
            [{**row, "answers": [{"text": text} for text in row["answers"]["text"]]} for row in in_language]
        )
    return splits[0], splits[1]


@lru_cache(maxsize=1)
def _cutter(tokenizer: str, revision: str | None) -> Any:
    loaded = load_tokens(tokenizer, revision)

    def cut(text: str) -> str:
        ids = loaded(text, add_special_tokens=False, truncation=True, max_length=CONTEXT_TOKENS + 1)[
            "input_ids"
        ]
        return text if len(ids) <= CONTEXT_TOKENS else loaded.decode(ids[:CONTEXT_TOKENS])

    return cut
