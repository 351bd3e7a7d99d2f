"""The subset: the chosen conversations, best first. `ds2.export` writes the forms that trainers read.

Table and conversations have one row a chosen sample:

    rank             from 0, the best
    id, row, source  of the sample
    file, file_row   where its source row stands: a file's name and the row in it, from 1 (of lines, the
                     line); `SubsetReport.files` has the hashes
    score            as given; curated and long_tail as curation has them; null where the run has none
    value            float64, what it was ranked by; null where the strategy does not rank
    reason           why it was chosen, in a few words
    messages         role and content, and what else ds2.artifacts.written_samples keeps of turns
    tools, extra     where any row has them: the other fields of the source row, JSON strings

The conversations alone have messages, tools and extra.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ds2.artifacts.reading import damaged, read_dataclass, read_table, table_rows
from ds2.artifacts.record import find_artifacts, read_record
from ds2.artifacts.subset_report import KNOWN, SubsetReport, describe
from ds2.artifacts.subset_text import markdown
from ds2.artifacts.written_samples import layout, read_turn
from ds2.base.errors import DamagedArtifact
from ds2.base.json_files import numbered_lines, parse_json_line, write_json, write_json_lines
from ds2.pool import Message, Pool, Sample
from ds2.selection.request import Choice

if TYPE_CHECKING:
    import pandas as pd

BUDGET_USED = "budget_used"
"""Among the counts of the record: the share of a budget of tokens or FLOPs that was used, where a part
of it was left.
"""
_TABLE = "subset.parquet"
_REPORT, _REPORT_TEXT = "subset_report.json", "subset_report.md"
_COLUMNS = ("rank", "id", "row", "source", "file", "file_row", *KNOWN, "value", "reason")


def conversations(folder: Path) -> Path:
    """The JSONL file that fine-tuning reads: `messages` and the columns of the table."""
    return folder / "subset.jsonl"


def write_subset(
    folder: Path,
    pool: Pool,
    choice: Choice,
    known: Mapping[str, NDArray[Any]],
    *,
    title: str,
    neighbors: NDArray[np.int32] | None = None,
) -> None:
    """The chosen conversations, their table and report.

    Args:
        known: score, curated and long_tail of all N samples, where known.
        title: of the report.
        neighbors: (N, k), where the run has a graph: what subsets cover is told of it.
    """
    _write_rows(folder, pool, choice, known)
    report = describe(pool, choice, known, title=title, neighbors=neighbors)
    write_report(folder, report)
    (folder / _REPORT_TEXT).write_text(markdown(report), encoding="utf-8")


def _write_rows(folder: Path, pool: Pool, choice: Choice, known: Mapping[str, NDArray[Any]]) -> None:
    """Table and conversations."""
    import pandas as pd

    rows = []
    for rank, (position, reason) in enumerate(zip(choice.positions.tolist(), choice.reasons, strict=True)):
        sample = pool.samples[position]
        row: dict[str, Any] = {"rank": rank, "id": sample.id, "row": sample.row, "source": sample.source}
        row |= _origin(pool, sample)
        row |= {name: known[name][position].item() if name in known else None for name in KNOWN}
        row["value"] = None if choice.values is None else float(choice.values[rank])
        rows.append(row | {"reason": reason})
    pd.DataFrame(rows, columns=list(_COLUMNS)).to_parquet(folder / _TABLE, index=False)
    chosen = (pool.samples[position] for position in choice.positions.tolist())
    form = layout(pool.samples[position] for position in choice.positions.tolist())
    lines = (
        {"messages": form.messages(sample), **row, **form.fields(sample)}
        for sample, row in zip(chosen, rows, strict=True)
    )
    write_json_lines(conversations(folder), lines)


def _origin(pool: Pool, sample: Sample) -> dict[str, Any]:
    """Where the sample's source row stands; nulls of a sample that was read from nowhere."""
    if sample.place is None:
        return {"file": None, "file_row": None}
    origin = pool.origins.get(sample.place.file)
    return {"file": origin.name if origin else sample.place.file, "file_row": sample.place.number}


def read_subset(folder: Path, *columns: str) -> pd.DataFrame:
    """The table, best first: the named columns, or all. Raises DamagedArtifact."""
    return read_table(folder / _TABLE, columns or None)


def subset_size(folder: Path) -> int:
    """How many samples were chosen. Raises DamagedArtifact."""
    return table_rows(folder / _TABLE)


@dataclass(frozen=True)
class Chosen:
    """A chosen sample, as it is written."""

    id: str
    source: str
    messages: tuple[Message, ...]
    tools: str
    """The tools that it may call, JSON; empty where it has none."""
    extra: str
    """The source row's other fields, a JSON object; empty where it has none."""
    columns: Mapping[str, Any]
    """The table's other columns: rank, row, score and the like, reason."""


def read_chosen(folder: Path) -> Iterator[Chosen]:
    """The chosen samples, best first. Raises DamagedArtifact."""
    path = conversations(folder)
    for number, line in numbered_lines(path):
        try:
            row = parse_json_line(line)
            messages = tuple(read_turn(turn) for turn in row.pop("messages"))
            given = row.pop("id"), row.pop("source"), messages, row.pop("tools", ""), row.pop("extra", "")
        except (ValueError, KeyError, TypeError) as error:
            raise damaged(path, f"line {number} is not a chosen sample") from error
        yield Chosen(*given, columns=row)


def read_conversations(
    folder: Path, ranks: Container[int] | None = None
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """(rank, messages) of the chosen conversations, best first; only those of `ranks` are parsed. Raises
    DamagedArtifact.
    """
    path = conversations(folder)
    for number, line in numbered_lines(path):
        rank = number - 1
        if ranks is None or rank in ranks:
            try:
                messages = parse_json_line(line)["messages"]
            except (ValueError, KeyError, TypeError) as error:
                raise damaged(path, f"line {number} is not a row with messages") from error
            yield rank, messages


def write_report(folder: Path, report: SubsetReport) -> None:
    """The report for programs."""
    write_json(folder / _REPORT, report.to_plain())


def read_report(folder: Path) -> SubsetReport:
    """What the subset is made of. Raises DamagedArtifact naming the file and the key at fault."""
    return read_dataclass(SubsetReport, folder / _REPORT)


@dataclass(frozen=True)
class Overlap:
    """Another subset of the same pool."""

    subset: str
    """Its folder's name."""
    selected: int
    shared: int
    jaccard: float
    """|A and B| / |A or B|."""


def overlaps(folder: Path) -> list[Overlap]:
    """The other finished subsets of the same pool that the store holds now, the most alike first.

    A damaged one is left out: it is not this subset's, and `ds2 doctor` names it.
    """
    pool = read_record(folder)["inputs"]["pool"]
    mine = _row_numbers(folder)
    others = []
    for path in find_artifacts(folder.parent):
        try:
            if path == folder or read_record(path)["inputs"].get("pool") != pool:
                continue
            other = _row_numbers(path)
        except (DamagedArtifact, OSError):
            continue
        shared = len(mine & other)
        others.append(Overlap(path.name, len(other), shared, shared / len(mine | other)))
    return sorted(others, key=lambda other: (-other.jaccard, other.subset))


def _row_numbers(folder: Path) -> set[int]:
    return set(read_subset(folder, "row")["row"].tolist())
