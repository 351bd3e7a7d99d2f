"""The subset: the chosen conversations, best first, in the forms that people and training frameworks read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from ds2.artifacts.store import RECORD, read_record
from ds2.artifacts.subset_exports import write_exports
from ds2.artifacts.subset_report import describe, markdown
from ds2.base.errors import DamagedArtifact
from ds2.base.json_files import write_json
from ds2.pool import Pool
from ds2.selection.request import Choice


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
    name: str,
) -> None:
    """The chosen conversations, their table, report and exports.

    Args:
        known: score, curated and long_tail of all N samples, where known.
        title: of the report; `name`: of the subset in the frameworks' own files.
    """
    rows = _write_rows(folder, pool, choice, known)
    described = describe(pool, choice, known, title=title)
    write_json(folder / "subset_report.json", described)
    text = markdown(described)
    (folder / "subset_report.md").write_text(text, encoding="utf-8")
    placed = [{**row, "position": p} for row, p in zip(rows, choice.positions.tolist(), strict=True)]
    write_exports(folder, name, pool, placed, text)


def _write_rows(
    folder: Path, pool: Pool, choice: Choice, known: Mapping[str, NDArray[Any]]
) -> list[dict[str, Any]]:
    """`subset.parquet` and `subset.jsonl`. Returns the rows written, without their messages."""
    rows = []
    for rank, (position, reason) in enumerate(zip(choice.positions.tolist(), choice.reasons, strict=True)):
        sample = pool.samples[position]
        row: dict[str, Any] = {"rank": rank, "id": sample.id, "row": sample.row, "source": sample.source}
        for name in ("score", "curated", "long_tail"):
            row[name] = known[name][position].item() if name in known else None
        row["value"] = None if choice.values is None else float(choice.values[rank])
        rows.append(row | {"reason": reason})
    columns = ["rank", "id", "row", "source", "score", "curated", "long_tail", "value", "reason"]
    pd.DataFrame(rows, columns=columns).to_parquet(folder / "subset.parquet", index=False)
    with (folder / "subset.jsonl").open("w", encoding="utf-8") as lines:
        for position, row in zip(choice.positions.tolist(), rows, strict=True):
            messages = [{"role": m.role, "content": m.content} for m in pool.samples[position].messages]
            lines.write(json.dumps({"messages": messages, **row}, ensure_ascii=False) + "\n")
    return rows


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
    pool = read_record(folder / RECORD)["inputs"]["pool"]
    mine = _row_numbers(folder)
    others = []
    for path in sorted(folder.parent.glob(f"[!.]*/{RECORD}")):
        try:
            if path.parent == folder or read_record(path)["inputs"].get("pool") != pool:
                continue
            other = _row_numbers(path.parent)
        except (DamagedArtifact, OSError):
            continue
        shared = len(mine & other)
        others.append(Overlap(path.parent.name, len(other), shared, shared / len(mine | other)))
    return sorted(others, key=lambda other: (-other.jaccard, other.subset))


def _row_numbers(folder: Path) -> set[int]:
    return set(pd.read_parquet(folder / "subset.parquet", columns=["row"])["row"].tolist())
