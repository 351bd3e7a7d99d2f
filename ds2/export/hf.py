"""A folder for `datasets.load_dataset(FOLDER)`: plain columns, which every version reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from ds2.export.parquet import TEXT, score_types, turn, turn_type, write_parquet
from ds2.export.subset import Subset
from ds2.export.tally import Tally

DATA, STANZA = "train.parquet", "load.py"
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""The hub's names of sizes."""


def write(subset: Subset, folder: Path, tally: Tally) -> None:
    """The data: every row, every field."""
    write_parquet(folder / DATA, _rows(subset, tally), columns(subset))


def columns(subset: Subset) -> dict[str, Any]:
    """Name -> Arrow type, in order."""
    flag = [("weight", pa.int64())] if subset.untrained else []
    also = [name for name, has in (("tools", subset.has_tools), ("extra", subset.has_extra)) if has]
    plain = {"id": TEXT, "source": TEXT, "messages": pa.list_(turn_type(subset, *flag))}
    return plain | dict.fromkeys(also, TEXT) | score_types(subset)


def stanza(subset: Subset, folder: str) -> str:
    """For a script."""
    return f'from datasets import load_dataset\n\ntrain = load_dataset("{folder}", split="train")\n'


def front_matter(rows: int, *, licence: str | None = None) -> str:
    """The head of the folder's README.md, which `load_dataset` and the hub read."""
    size = next((label for limit, label in SIZES if rows < limit), "n>1M")
    given = f"license: {licence}\n" if licence else ""
    return (
        f"---\n{given}task_categories: [text-generation]\ntags: [instruction-tuning, data-selection, ds2]\n"
        f"size_categories: ['{size}']\n"
        f"configs:\n- config_name: default\n  data_files:\n  - {{split: train, path: {DATA}}}\n---\n\n"
    )


def _rows(subset: Subset, tally: Tally) -> Iterator[Mapping[str, Any]]:
    for row in subset.chosen():
        tally.rows += 1
        messages = [
            turn(m) | {"weight": int(m.trained) if m.role == "assistant" else None} for m in row.messages
        ]
        yield {
            "id": row.id, "source": row.source, "messages": messages,
            "tools": row.tools or None, "extra": row.extra or None, **subset.columns(row),
        }  # fmt: skip
