"""open-instruct: JSON Lines of messages for its `finetune.py`, which renders role and content alone.

Tool calls stand in the content, as DS2's Tulu template has them; its own Tulu template passes turns of tools
over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ds2.base.json_files import write_json_lines
from ds2.export.subset import Subset
from ds2.export.tally import Tally

DATA, STANZA = "train.jsonl", "open_instruct.sh"


def write(subset: Subset, folder: Path, tally: Tally) -> None:
    """The data."""
    write_json_lines(folder / DATA, _rows(subset, tally))


def stanza(subset: Subset, folder: str) -> str:
    """The options of its `finetune.py`."""
    tokenise = "last_turn_tulu" if subset.last_alone else "sft_tulu"
    return (
        "python open_instruct/finetune.py \\\n"
        f"    --dataset_mixer_list {folder}/{DATA} 1.0 --dataset_mixer_list_splits train \\\n"
        f"    --dataset_transform_fn {tokenise}_tokenize_and_truncate_v1 sft_tulu_filter_v1 \\\n"
        "    --chat_template_name tulu --model_name_or_path MODEL\n"
    )


def _rows(subset: Subset, tally: Tally) -> Iterator[Mapping[str, Any]]:
    for row in subset.chosen():
        tally.rows += 1
        roles = [message.role for message in row.messages]
        messages = list(row.messages)
        while subset.last_alone and messages[-1].role != "assistant":
            messages.pop()  # its last-turn masking trains whatever turn is the last
        if subset.weighted and not all(m.trained for m in messages if m.role == "assistant"):
            tally.differ("turns that are not to be trained are trained: it has no flag of a turn", row.id)
        if roles[0] == "assistant":
            tally.differ("an answer comes first: the mark before it is trained too", row.id)
        if "tool" in roles:
            tally.differ("turns of tools are passed over by its template `tulu`", row.id)
        if row.tools:
            tally.differ("the list of tools is shown to no model: its transform reads messages alone", row.id)
        if any("reasoning_content" in message.fields for message in messages):
            tally.differ("reasoning is left out", row.id)
        turns = [{"role": message.role, "content": message.text} for message in messages]
        extra = {"extra": row.extra} if subset.has_extra else {}
        yield {"id": row.id, "dataset": row.source, "messages": turns, **extra, **subset.columns(row)}
