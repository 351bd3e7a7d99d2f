"""Pools: where conversations come from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any

from ds2.config.base import MISSING, Extensible, files_field, names_or_paths_field, register

_PATTERN = re.compile(r"\[[^\]]*\]|[*?]+")
"""What stands for other characters in a glob pattern."""


class PoolFormat(Enum):
    """The shapes of rows (docs/pools.md)."""

    auto = "auto"
    """Found row by row."""
    messages = "messages"
    """`{"messages": [{"role", "content"}, ...]}`"""
    sharegpt = "sharegpt"
    """`{"conversations": [{"from", "value"}, ...]}`"""
    preference = "preference"
    """`{"prompt", "chosen", "rejected"}`: the chosen side."""
    alpaca = "alpaca"
    """`{"instruction", "input", "output"}`, with or without `system` and `history`."""
    prompt_completion = "prompt_completion"
    """`{"prompt", "completion"}`, texts or lists of messages."""
    question_answer = "question_answer"
    """Another pair, such as `{"question", "answer"}`."""
    text = "text"
    """`{"text"}`: one assistant turn without a question."""


class Turns(Enum):
    """Which assistant turns of a conversation are its answer: what raters judge and training learns."""

    all = "all"
    last = "last"
    """The last alone; what follows it is cut, the earlier ones are context."""


class DuplicateIds(Enum):
    """What becomes of a row whose id an earlier row has."""

    refuse = "refuse"
    """It is a bad row."""
    number = "number"
    """It gets a number behind: `a`, `a#2`, `a#3`."""
    prefix = "prefix"
    """Each row's id gets the name of its file before it, so that shards may each count from 0."""


class World(Enum):
    """How far neighbours share the true score in a generated pool, and how its raters err."""

    pure = "pure"
    """A cluster's samples have its level or one beside it; raters are simulated from published matrices."""
    impure = "impure"
    """Both as real sets show them (`ds2.mini.impure`); the raters' scores come with the rows."""


class BadRows(Enum):
    fail = "fail"
    drop = "drop"
    """Leave bad rows out; how many, and why, is reported."""


class OnContamination(Enum):
    """What becomes of samples that hold a question of an evaluation set."""

    drop = "drop"
    """They are left out before anything is rated."""
    warn = "warn"
    """They stay; how many, and which, is reported."""
    fail = "fail"
    """The run stops."""


@dataclass
class PoolConfig(Extensible):
    name: str = MISSING
    """Short name used in slugs, run names and tables."""

    @property
    def sifts(self) -> bool:
        """Whether samples are looked through (stage `sift`) before anything is made of them."""
        return False

    @property
    def label(self) -> str:
        """What the pool is called: its name, or one made from where it is."""
        return self.name or "pool"


@dataclass
class RowsPoolConfig(PoolConfig):
    """Rows that somebody wrote: checked one by one."""

    format: PoolFormat = PoolFormat.auto
    columns: Any = None
    """What the rows call things, where their names are none that DS2 knows: `{user: q, assistant: a.text}`.
    Names: messages, system, user, context, assistant, history, text, chosen, tools, id, source.
    """
    turns: Turns = Turns.all
    """Which assistant turns are rated and trained."""
    on_bad_rows: BadRows = BadRows.fail
    on_duplicate_ids: DuplicateIds = DuplicateIds.refuse
    limit: int | None = None
    """Use only the first so many valid rows."""
    source: str | None = None
    """Field that names a row's source; none: `source`, `dataset`, or the pool's name."""
    decontaminate: Any = names_or_paths_field()  # noqa: RUF009 - it is a field
    """Evaluation sets whose questions no sample may hold: `[gsm8k,mmlu,FILE]`, tasks as `eval.tasks` has them
    and files of questions; `eval`: the run's own tasks. None: nothing is looked for.
    """
    on_contamination: OnContamination = OnContamination.drop
    near_duplicates: float | None = None
    """Jaccard similarity of the words' trigrams from which two samples count as one; the earlier row stays.
    1: the same words, whatever case, spacing and punctuation. None: off.
    """

    @property
    def sifts(self) -> bool:
        return bool(self.decontaminate) or self.near_duplicates is not None

    @property
    def evaluation_sets(self) -> list[str]:
        """What `decontaminate` names."""
        named = self.decontaminate or []
        return list(dict.fromkeys(map(str, named if isinstance(named, list) else [named])))


@register("pool", "files_pool")
@dataclass
class FilesPoolConfig(RowsPoolConfig):
    path: Any = files_field()  # noqa: RUF009 - it is a field
    """A file, a folder or a glob pattern, or a list of them; `hf://ORG/NAME[@REVISION][/CONFIG[/SPLIT]]`;
    `-`: standard input. JSON Lines, JSON, CSV, TSV, Parquet or Arrow, packed or not (gz, zst, xz, bz2).
    """
    max_row_bytes: int = 64 * 1024**2
    """A longer line, or a row of a table that takes more, is bad; so no broken file fills the memory."""

    @property
    def paths(self) -> list[str]:
        """The paths, one or many."""
        return [str(path) for path in self.path] if isinstance(self.path, list) else [str(self.path)]

    @property
    def label(self) -> str:
        """The configured name, else that of the first file or folder, without endings and patterns."""
        first = self.paths[0] if self.paths else ""
        if self.name or first == "-":
            return self.name or "stdin"
        if first.startswith("hf://"):  # hf://[datasets/]ORG/NAME...
            first = "/".join(
                first.removeprefix("hf://").removeprefix("datasets/").split("@")[0].split("/")[:2]
            )
        parts = [part for part in PurePath(first).parts if part not in ("/", "~", ".", "..")]
        names = (_PATTERN.sub("", part).split(".")[0].strip("-_. ") for part in reversed(parts))
        return next(filter(None, names), "pool")


@register("pool", "hub_pool")
@dataclass
class HubPoolConfig(RowsPoolConfig):
    dataset: str = MISSING
    """Repository on the Hugging Face hub."""
    subset: str | None = None
    """The dataset's configuration name."""
    split: str = "train"
    """Split of the dataset."""
    revision: str | None = None
    """Commit, tag or branch; resolved to a commit before it enters a fingerprint."""


@register("pool", "mini_pool")
@dataclass
class MiniPoolConfig(PoolConfig):
    """The generated pool of the miniature experiment (planted true scores)."""

    samples: int = MISSING
    """Number of samples generated."""
    seed: int = 0
    world: World = World.pure
