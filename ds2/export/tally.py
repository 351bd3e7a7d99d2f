"""What of a subset does not reach a trainer as it is: counted, and named by the samples' ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_IDS = 3
"""Ids that a line names."""


@dataclass
class Tally:
    """Samples by what became of them."""

    rows: int = 0
    """Samples written."""
    left_out: dict[str, list[str]] = field(default_factory=dict)
    """Why the trainer would skip or refuse a sample -> the ids of those, which are not written."""
    differs: dict[str, list[str]] = field(default_factory=dict)
    """What is read otherwise than DS2 trains it -> the ids of those samples, which are written."""

    def leave_out(self, why: str, identity: str) -> None:
        self.left_out.setdefault(why, []).append(identity)

    def differ(self, what: str, identity: str) -> None:
        ids = self.differs.setdefault(what, [])
        if not ids or ids[-1] != identity:
            ids.append(identity)

    @property
    def missing(self) -> int:
        """Samples that are not written."""
        return sum(len(ids) for ids in self.left_out.values())

    def lines(self) -> Iterator[str]:
        """One for each reason, those left out first: what, how many samples, and some of them."""
        for what, ids in self.left_out.items():
            yield f"left out, {_counted(ids)}: {what}"
        for what, ids in self.differs.items():
            yield f"read differently, {_counted(ids)}: {what}"

    def to_plain(self) -> Mapping[str, object]:
        """Counts by reason, JSON-ready."""
        counts = {"left_out": self.left_out, "differs": self.differs}
        return {"rows": self.rows} | {
            name: {what: len(ids) for what, ids in reasons.items()} for name, reasons in counts.items()
        }


def _counted(ids: list[str]) -> str:
    more = ", ..." if len(ids) > _IDS else ""
    return f"{len(ids):,} rows ({', '.join(ids[:_IDS])}{more})" if len(ids) > 1 else f"1 row ({ids[0]})"
