"""The rows that a fine-tune reads: conversations, and the tools that they may call."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ds2.artifacts.written_samples import present_fields
from ds2.base.errors import UserError
from ds2.base.json_files import read_json_lines
from ds2.models.trained_tokens import OWN_TEMPLATE, Messages, functions_of, with_native_calls
from finetune.spec import FinetuneSpec


def read_rows(spec: FinetuneSpec) -> tuple[list[Messages], list[Any] | None]:
    """The conversations to train on, and the tools of each where the template shows them."""
    conversations = read_conversations(spec.train_file)
    if spec.config.template != OWN_TEMPLATE:
        return conversations, None
    return [with_native_calls(messages) for messages in conversations], read_tools(spec.train_file)


def read_conversations(path: str | Path) -> list[Messages]:
    """The `messages` of each row of a JSONL file.

    UserError where there is no file, no row, or a row without them.
    """
    source = Path(path)
    conversations: list[Messages] = []
    for number, row in read_json_lines(source):
        try:
            conversations.append([present_fields(turn) for turn in row["messages"]])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{source}, line {number}: not a row with `messages`") from error
    if not conversations:
        raise UserError(f"{source}: the subset is empty: nothing to train on")
    return conversations


def read_tools(path: str | Path) -> list[Any]:
    """The tools that each row's conversation may call, None where it has none; those that are no list of
    functions are counted aloud, and no template is told of them.
    """
    tools, odd = [], 0
    for _, row in read_json_lines(Path(path)):
        try:
            tools.append(functions_of(row.get("tools")))
        except ValueError:
            tools.append(None)
            odd += 1
    if odd:
        tqdm.write(f"{odd} rows have `tools` that are no list of functions: not rendered", file=sys.stderr)
    return tools
