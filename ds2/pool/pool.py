"""The pool: conversations with an id, a source and whatever columns came with them.

A pool's fingerprint is its content. Moving a file changes nothing; editing one changes everything downstream.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, cast

from ds2.base.dataclass_json import to_plain
from ds2.base.errors import UserError
from ds2.base.hashes import canonical_json, file_sha256, fingerprint
from ds2.base.load import load_function
from ds2.config import BadRows, FilesPoolConfig, HubPoolConfig, MiniPoolConfig, PoolConfig, RowsPoolConfig
from ds2.pool import rows as pool_rows
from ds2.pool.rows import BadRow, Message

__all__ = ["Message", "Pool", "PoolSource", "Sample"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One conversation."""

    id: str
    row: int
    """Position in the pool as it was read, from 0, counting rows that were dropped."""
    source: str
    messages: tuple[Message, ...]
    columns: Mapping[str, Any]
    """The row's other fields."""


@dataclass(frozen=True)
class Pool:
    """N samples in order; artifacts refer to them by this order."""

    samples: Sequence[Sample]
    rows_read: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Reason -> number of rows left out."""
    limited: bool = False
    """Reading stopped at `pool.limit`; more rows may follow."""
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def ids(self) -> list[str]:
        return [sample.id for sample in self.samples]

    @property
    def rows(self) -> list[int]:
        return [sample.row for sample in self.samples]

    @property
    def sources(self) -> list[str]:
        return [sample.source for sample in self.samples]

    def contents(self) -> list[str]:
        """Each sample's message contents, joined by a space."""
        return [" ".join(message.content for message in sample.messages) for sample in self.samples]

    def answers(self) -> list[str]:
        """Each sample's assistant messages, joined by a space: the part that a rating is of."""
        return [
            " ".join(m.content for m in sample.messages if m.role == "assistant") for sample in self.samples
        ]

    def conversations(self) -> list[str]:
        """Each sample as `### role: content`, one message a line: what the paper's raters and embedders
        read.
        """
        return [self.conversation(position) for position in range(len(self))]

    def conversation(self, position: int) -> str:
        """One sample, rendered so."""
        return "".join(f"### {m.role}: {m.content}\n" for m in self.samples[position].messages)

    def column(self, path: str) -> list[Any]:
        """One value a sample from a dotted path (`scores.gpt_4o_mini`); None where it is absent.

        Raises:
            UserError: no sample has it.
        """
        parts = path.split(".")
        values = [_walk(sample.columns, parts) for sample in self.samples]
        if all(value is None for value in values):
            known = ", ".join(sorted(_paths(self.samples[0].columns))) or "none"
            raise UserError(f"no row of the pool has the column {path}; the first row has: {known}")
        return values


class PoolSource:
    """A pool that is known but not yet read: its fingerprint, and the samples when somebody asks."""

    def __init__(
        self,
        config: PoolConfig,
        *,
        num_scores: int,
        offline: bool = False,
        hash_file: Callable[[Path], str] = file_sha256,
    ) -> None:
        """`hash_file` gives a file's SHA-256; one that remembers spares a sweep from reading a large pool
        again.
        """
        self.config = config
        self._hash_file = hash_file
        self.num_scores = num_scores
        self.offline = offline

    @property
    def name(self) -> str:
        """Short name for slugs and tables."""
        return self.config.label

    @cached_property
    def fingerprint(self) -> str:
        """The hash of the content and of what decides which rows are kept."""
        return fingerprint({"pool": self._content()})

    def load(self) -> Pool:
        """The samples, validated. A process keeps the last pool, so a sweep reads it once.

        Raises:
            UserError: no file, no row, or, under `on_bad_rows=fail`, a bad row (named with file and field).
        """
        return _load(self)

    def __hash__(self) -> int:
        return hash((self.fingerprint, self.name))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PoolSource) and (self.fingerprint, self.name) == (
            other.fingerprint,
            other.name,
        )

    def _content(self) -> dict[str, Any]:
        config = self.config
        if config.implementation is not None:
            left_out = {"name", *config.files}
            fields = {key: value for key, value in to_plain(config).items() if key not in left_out}
            content = {
                name: self._hash_file(Path(getattr(config, name)).expanduser()) for name in config.files
            }
            return {"kind": type(config).__name__} | config.implementation_identity() | fields | content
        if isinstance(config, MiniPoolConfig):
            # The rows are cheap to make, so their content is the identity: a changed generator is a new pool.
            return {"rows": _mini_content(config.samples, config.seed, self.num_scores)}
        assert isinstance(config, RowsPoolConfig)
        kept = to_plain(config)
        content = {key: kept[key] for key in ("format", "on_bad_rows", "limit", "source")}
        if isinstance(config, FilesPoolConfig):
            return content | {"files": [self._hash_file(path) for path in pool_rows.files(config.path)]}
        assert isinstance(config, HubPoolConfig)
        commit = pool_rows.resolve_dataset(config.dataset, config.revision, offline=self.offline)
        return content | {
            "dataset": config.dataset,
            "subset": config.subset,
            "split": config.split,
            "commit": commit,
        }

    def raw_rows(self) -> Iterator[tuple[str, Any]]:
        """`(where, row)` for each row as it stands in the file, where naming file and row."""
        config = self.config
        if config.implementation is not None:
            read = cast(Iterable[Any], load_function(config.implementation)(config))
            yield from ((f"{config.implementation}, row {i}", row) for i, row in enumerate(read))
        elif isinstance(config, MiniPoolConfig):
            rows = _mini_rows(config.samples, config.seed, self.num_scores)
            yield from ((f"mini pool, row {i}", row) for i, row in enumerate(rows))
        elif isinstance(config, FilesPoolConfig):
            for path in pool_rows.files(config.path):
                yield from pool_rows.read_file(path)
        elif isinstance(config, HubPoolConfig):
            commit = pool_rows.resolve_dataset(config.dataset, config.revision, offline=self.offline)
            yield from pool_rows.read_dataset(config.dataset, config.subset, config.split, commit)
        else:
            raise TypeError(f"unknown kind of pool: {type(config).__name__}")


def _mini_rows(samples: int, seed: int, num_scores: int) -> list[dict[str, Any]]:
    from ds2.mini import generate_pool

    if samples < 1:
        raise UserError(f"pool.samples={samples} must be at least 1")
    return generate_pool(samples=samples, seed=seed, num_scores=num_scores)


@cache
def _mini_content(samples: int, seed: int, num_scores: int) -> str:
    return fingerprint([canonical_json(row).decode() for row in _mini_rows(samples, seed, num_scores)])


@lru_cache(maxsize=1)
def _load(source: PoolSource) -> Pool:
    config = source.config if isinstance(source.config, RowsPoolConfig) else RowsPoolConfig(name=source.name)
    samples: list[Sample] = []
    seen: dict[str, str] = {}
    dropped: Counter[str] = Counter()
    empty_answers = row = 0
    parser = pool_rows.RowParser(config.format, config.source, source.name)
    for where, raw in source.raw_rows():
        try:
            parsed = parser.parse(raw, row)
            if parsed.id in seen:
                raise BadRow(
                    "id", f"duplicate id {parsed.id!r}, first seen at {seen[parsed.id]}", "duplicate id"
                )
        except BadRow as bad:
            if config.on_bad_rows is BadRows.fail:
                raise UserError(
                    f"{where}, field {bad.field}: {bad}; mend the row, or leave such rows out with "
                    "pool.on_bad_rows=drop"
                ) from None
            dropped[bad.reason] += 1
            row += 1
            continue
        seen[parsed.id] = where
        empty_answers += any(m.role == "assistant" and not m.content.strip() for m in parsed.messages)
        samples.append(Sample(parsed.id, row, parsed.source, parsed.messages, parsed.columns))
        row += 1
        if config.limit is not None and len(samples) >= config.limit:
            break
    if not samples:
        raise UserError(
            f"the pool {source.name} has no usable row" + (f": dropped {dict(dropped)}" if dropped else "")
        )
    warnings = []
    if empty_answers:
        warnings.append(f"{empty_answers} samples have an empty assistant answer; they are kept")
    if dropped:
        reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.most_common())
        warnings.append(f"{dropped.total()} bad rows were left out: {reasons}")
    limited = config.limit is not None and len(samples) >= config.limit
    return Pool(samples, row, dict(dropped), limited, tuple(warnings))


def _walk(value: Any, parts: Sequence[str]) -> Any:
    for part in parts:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _paths(columns: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in columns.items():
        if isinstance(value, Mapping):
            yield from _paths(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"
