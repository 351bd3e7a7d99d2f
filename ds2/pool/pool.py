"""The pool: N samples in order, and what was seen of them while they were read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload

from ds2.base.errors import UserError
from ds2.base.words import few
from ds2.pool.samples import PartOfSamples, Sample, StoredSamples


@dataclass(frozen=True)
class Origin:
    """A file or data set that rows were read from."""

    name: str
    """The file's name, with as many of its folders as tell it from the pool's others; `hf://...` of a hub's
    data set.
    """
    digest: str
    """`sha256:` of the file, `commit:` of a hub's data set, `rows:` a hash of rows that were made."""


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
    shapes: Mapping[str, int] = field(default_factory=dict)
    """Shape -> number of samples read from it."""
    first_bad: Mapping[str, str] = field(default_factory=dict)
    """Reason -> the first row that was left out for it, and what is wrong with it."""
    origins: Mapping[str, Origin] = field(default_factory=dict)
    """What the rows were read from, by `Place.file`."""

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def ids(self) -> list[str]:
        stored = self._stored
        return [sample.id for sample in self.samples] if stored is None else list(stored.ids)

    @property
    def rows(self) -> list[int]:
        stored = self._stored
        return [sample.row for sample in self.samples] if stored is None else stored.rows.tolist()

    @property
    def sources(self) -> list[str]:
        stored = self._stored
        return [sample.source for sample in self.samples] if stored is None else list(stored.sources)

    def contents(self) -> list[str]:
        """Each sample's texts, joined by a space."""
        return [" ".join(message.text for message in sample.messages) for sample in self.samples]

    def answers(self) -> list[str]:
        """Each sample's answers, joined by a space: what a rating is of, and what training learns."""
        return [" ".join(m.text for m in sample.messages if m.is_answer) for sample in self.samples]

    def conversations(self) -> Sequence[str]:
        """Each sample as `### role: text`, one message a line: what the paper's raters and embedders read.
        One is rendered when it is asked for; all of them may not fit into memory.
        """
        return _Conversations(self.samples)

    def conversation(self, position: int) -> str:
        """One sample, rendered so."""
        return self.conversations()[position]

    def named(self, position: int) -> str:
        """One sample in an error: its id, file and row."""
        return self.samples[position].named

    def column(self, path: str) -> list[Any]:
        """One value a sample from a column of that name, or a dotted path (`scores.gpt_4o_mini`); None where
        it is absent.

        Raises:
            UserError: no sample has it.
        """
        parts = path.split(".")
        rows = (sample.columns for sample in self.samples)
        values = [row[path] if path in row else walk(row, parts) for row in rows]
        if all(value is None for value in values):
            if any(path in sample.columns or has(sample.columns, parts) for sample in self.samples):
                raise UserError(f"the column {path} is null in every row of the pool")
            known = few(sorted(_paths(self.samples[0].columns))) or "none"
            raise UserError(f"no row of the pool has the column {path}; the first row has: {known}")
        return values

    def without(self, left_out: Mapping[int, str]) -> Pool:
        """The pool without the samples at some positions, which are counted by reason.

        Raises:
            UserError: none would be left.
        """
        if not left_out:
            return self
        kept = [position for position in range(len(self)) if position not in left_out]
        if not kept:
            raise UserError(f"no sample of the pool is left: {_counted(Counter(left_out.values()))}")
        whole = self.samples
        samples = PartOfSamples(whole, kept) if isinstance(whole, StoredSamples) else [whole[p] for p in kept]
        return replace(self, samples=samples, dropped=Counter(self.dropped) + Counter(left_out.values()))

    @property
    def _stored(self) -> StoredSamples | PartOfSamples | None:
        return self.samples if isinstance(self.samples, StoredSamples | PartOfSamples) else None


class _Conversations(Sequence[str]):
    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    @overload
    def __getitem__(self, position: int) -> str: ...

    @overload
    def __getitem__(self, position: slice) -> list[str]: ...

    def __getitem__(self, position: int | slice) -> str | list[str]:
        if isinstance(position, slice):
            return [_rendered(sample) for sample in self._samples[position]]
        return _rendered(self._samples[position])


def _rendered(sample: Sample) -> str:
    return "".join(f"### {m.role}: {m.text}\n" for m in sample.messages)


def _counted(reasons: Mapping[str, int]) -> str:
    return few(f"{count:,} {reason}" for reason, count in reasons.items())


def walk(value: Any, parts: Sequence[str]) -> Any:
    """What stands at a path of nested objects; None where it is absent."""
    for part in parts:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def has(value: Any, parts: Sequence[str]) -> bool:
    """Whether there is anything, null included, at a path of nested objects."""
    for part in parts[:-1]:
        value = value.get(part) if isinstance(value, Mapping) else None
    return isinstance(value, Mapping) and parts[-1] in value


def _paths(columns: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in columns.items():
        if isinstance(value, Mapping):
            yield from _paths(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"
