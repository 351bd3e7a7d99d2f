"""Axolotl: its `chat_template` data sets, with a flag of training at each turn where one is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from ds2.artifacts.subset import Chosen
from ds2.export.parquet import TEXT, score_types, turn, turn_type, write_parquet
from ds2.export.subset import Subset, listed_tools
from ds2.export.tally import Tally

DATA, STANZA = "train.parquet", "axolotl.yaml"


def write(subset: Subset, folder: Path, tally: Tally) -> None:
    """The data. Tool calls keep their arguments as text, which its strategy reads."""
    flag = [("train", pa.bool_())] if subset.untrained else []
    columns = {"id": TEXT, "source": TEXT, "messages": pa.list_(turn_type(subset, *flag))}
    columns |= {name: TEXT for name, has in _also(subset) if has}
    write_parquet(folder / DATA, _rows(subset, tally), columns | score_types(subset))


def stanza(subset: Subset, folder: str) -> str:
    """For the configuration's `datasets:`."""
    lines = [
        "datasets:",
        f"  - path: {folder}/{DATA}",
        "    ds_type: parquet",
        "    type: chat_template",
        "    field_messages: messages",
        *(["    field_tools: tools"] if subset.has_tools else []),
        "    roles_to_train: [assistant]",
        "    train_on_eos: turn",
        *(["    message_field_training: train"] if subset.untrained else []),
    ]
    return "\n".join(lines) + "\n"


def _also(subset: Subset) -> tuple[tuple[str, bool], ...]:
    return ("tools", subset.has_tools), ("extra", subset.has_extra)


def _rows(subset: Subset, tally: Tally) -> Iterator[Mapping[str, Any]]:
    for row in subset.chosen():
        why = _refused(row)
        if why:
            tally.leave_out(why, row.id)
            continue
        tally.rows += 1
        messages = [turn(m) | {"train": m.trained if m.role == "assistant" else None} for m in row.messages]
        yield {
            "id": row.id, "source": row.source, "messages": messages,
            "tools": row.tools or None, "extra": row.extra or None, **subset.columns(row),
        }  # fmt: skip


def _refused(row: Chosen) -> str | None:
    """Why its strategy would end with an error."""
    if row.tools and listed_tools(row.tools) is None:
        return "its tools are no JSON list of tools"
    return None
