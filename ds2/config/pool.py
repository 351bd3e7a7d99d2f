"""Pools: where conversations come from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ds2.config.base import MISSING, Extensible, path_field, register


class PoolFormat(Enum):
    auto = "auto"
    """Decided by each file's first row."""
    messages = "messages"
    """`{"messages": [{"role", "content"}, ...]}`"""
    alpaca = "alpaca"
    """`{"instruction", "input", "output"}`"""
    sharegpt = "sharegpt"
    """`{"conversations": [{"from", "value"}, ...]}`"""


class BadRows(Enum):
    fail = "fail"
    drop = "drop"
    """Leave bad rows out; how many, and why, is reported."""


@dataclass
class PoolConfig(Extensible):
    name: str = MISSING
    """Short name used in slugs, run names and tables."""

    @property
    def label(self) -> str:
        """What the pool is called: its name, or one made from where it is."""
        return self.name or "pool"


@dataclass
class RowsPoolConfig(PoolConfig):
    """Rows that somebody wrote: checked one by one."""

    format: PoolFormat = PoolFormat.auto
    on_bad_rows: BadRows = BadRows.fail
    limit: int | None = None
    """Use only the first so many valid rows."""
    source: str | None = None
    """Field that names a row's source; none: `source`, `dataset`, or the pool's name."""


@register("pool", "files_pool")
@dataclass
class FilesPoolConfig(RowsPoolConfig):
    path: str = path_field()
    """JSONL, JSON or Parquet file (gz too), a folder of them, or a glob pattern."""

    @property
    def label(self) -> str:
        """The configured name, else the file's without its endings."""
        return self.name or Path(self.path.rstrip("/*")).name.split(".")[0] or "pool"


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
