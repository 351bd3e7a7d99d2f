"""TRL: conversations for `SFTTrainer`, whose loss `assistant_only_loss` keeps to the assistant's words.

TRL has no flag of a turn. Where every row trains its last answer alone, rows are prompt and completion, which
says the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ds2.artifacts.subset import Chosen
from ds2.export.parquet import OBJECTS, TEXT, score_types, write_parquet
from ds2.export.subset import Subset, json_text, listed_tools, native_arguments
from ds2.export.tally import Tally
from ds2.pool import Message

DATA, STANZA = "train.parquet", "trl_sft.py"
_TURNS = {"feature": {"_type": "Json"}, "_type": "List"}


def write(subset: Subset, folder: Path, tally: Tally) -> None:
    """The data. A turn is a JSON value of its own, so that it has the keys it has and no nulls: templates
    ask which are there, and want the arguments of tool calls as objects.
    """
    names = ("prompt", "completion") if subset.last_alone else ("messages",)
    columns = {"id": TEXT, "source": TEXT} | {name: OBJECTS for name in names}
    also = [name for name, has in (("tools", subset.has_tools), ("extra", subset.has_extra)) if has]
    columns = columns | dict.fromkeys(also, TEXT) | score_types(subset)
    features: dict[str, Any] = {
        name: _TURNS if name in names else {"dtype": str(kind).replace("double", "float64"), "_type": "Value"}
        for name, kind in columns.items()
    }
    write_parquet(folder / DATA, _rows(subset, tally), columns, features=features)


def stanza(subset: Subset, folder: str) -> str:
    """For the training script."""
    loss = (
        "completion_only_loss=True),  # rows train their last answer alone"
        if subset.last_alone
        else "assistant_only_loss=True),  # the assistant's words alone, as DS2 trains"
    )
    return (
        "from datasets import load_dataset  # 4.7 or later\n"
        "from trl import SFTConfig, SFTTrainer\n\n"
        f'train = load_dataset("parquet", data_files="{folder}/{DATA}", split="train")\n'
        "trainer = SFTTrainer(\n"
        '    model="MODEL",\n'
        "    train_dataset=train,\n"
        f"    args=SFTConfig({loss}\n"
        ")\n"
    )


def _rows(subset: Subset, tally: Tally) -> Iterator[Mapping[str, Any]]:
    for row in subset.chosen():
        if row.tools and listed_tools(row.tools) is None:
            tally.leave_out("its tools are no JSON list of tools", row.id)
            continue
        tally.rows += 1
        if subset.weighted and not all(m.trained for m in row.messages if m.role == "assistant"):
            tally.differ("turns that are not to be trained are trained: TRL has no flag of a turn", row.id)
        yield {
            "id": row.id, "source": row.source, **_turns(subset, row),
            "tools": row.tools or None, "extra": row.extra or None, **subset.columns(row),
        }  # fmt: skip


def _turns(subset: Subset, row: Chosen) -> dict[str, list[str]]:
    turns = [json_text(_turn(message)) for message in row.messages]
    if not subset.last_alone:
        return {"messages": turns}
    last = max(i for i, message in enumerate(row.messages) if message.role == "assistant")
    return {"prompt": turns[:last], "completion": turns[last : last + 1]}


def _turn(message: Message) -> dict[str, Any]:
    turn = {"role": message.role, "content": message.content, **message.fields}
    if "tool_calls" in turn:
        turn["tool_calls"] = [
            call | {"function": call["function"] | {"arguments": native_arguments(call)}}
            for call in turn["tool_calls"]
        ]
    return turn
