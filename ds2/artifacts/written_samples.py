"""How samples are written: one schema for all rows of a file, so that `datasets.load_dataset` reads each.

A turn holds role and content and, where any turn of the file has one of them, each of

    weight             1 or 0 of an assistant turn, 0: not to be trained; null of the others
    name, tool_call_id, reasoning_content
    tool_calls         OpenAI's form, [{id, type, function: {name, arguments}}], as a JSON string

A row holds, where any row of the file has one of them,

    tools              the tools that the conversation may call, a JSON string
    extra              every other field of the source row, a JSON string of one object: their kinds differ
                       from row to row, which no table takes

What a turn or row lacks is an empty text and never null: a loader takes the kind of a column from the first
block of a large file, where null says nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ds2.pool import Message, Sample

TURN_KEYS = ("name", "tool_calls", "tool_call_id", "reasoning_content")
"""Keys of turns that only some have, in the order in which they are written."""


@dataclass(frozen=True)
class Layout:
    """Which keys the turns and rows of a file have beyond role and content."""

    turn_keys: tuple[str, ...] = ()
    row_keys: tuple[str, ...] = ()

    def messages(self, sample: Sample) -> list[dict[str, Any]]:
        """The sample's turns."""
        return [self._turn(message) for message in sample.messages]

    def _turn(self, message: Message) -> dict[str, Any]:
        turn: dict[str, Any] = {"role": message.role, "content": message.content}
        for key in self.turn_keys:
            turn[key] = message.fields.get(key, "")
        if "tool_calls" in turn:
            calls = message.fields.get("tool_calls", [])
            turn["tool_calls"] = _json(calls) if calls else ""
        if "weight" in self.turn_keys:
            turn["weight"] = int(message.trained) if message.role == "assistant" else None
        return turn

    def fields(self, sample: Sample) -> dict[str, str]:
        """The row's fields beside its messages."""
        held = _fields(sample)
        return {key: held.get(key, "") for key in self.row_keys}


def layout(samples: Iterable[Sample]) -> Layout:
    """The keys that these samples need."""
    turn_keys: set[str] = set()
    row_keys: set[str] = set()
    for sample in samples:
        row_keys |= _fields(sample).keys()
        for message in sample.messages:
            turn_keys |= message.fields.keys()
            if not message.trained:
                turn_keys.add("weight")
    ordered = (key for key in ("weight", *TURN_KEYS) if key in turn_keys)
    return Layout(tuple(ordered), tuple(key for key in ("tools", "extra") if key in row_keys))


def read_turn(turn: Mapping[str, Any]) -> Message:
    """A written turn as the message that it was."""
    told = present_fields(turn)
    fields = {key: told[key] for key in TURN_KEYS if key in told}
    return Message(turn["role"], turn["content"], turn.get("weight") != 0, fields)


def present_fields(turn: Mapping[str, Any]) -> dict[str, Any]:
    """A written turn without the fields that it lacks, its tool calls as a list."""
    told = {k: v for k, v in turn.items() if k in ("role", "content") or v not in (None, "", [])}
    if isinstance(told.get("tool_calls"), str):
        told["tool_calls"] = json.loads(told["tool_calls"])
    return told


def _fields(sample: Sample) -> dict[str, str]:
    columns = dict(sample.columns)
    columns.pop("id", None)
    for name in ("source", "dataset"):
        if columns.get(name) == sample.source:
            del columns[name]
    held = {}
    tools = columns.pop("tools", None)
    if tools:
        held["tools"] = tools if isinstance(tools, str) else _json(tools)
    extra = {key: value for key, value in columns.items() if value is not None}
    return held | ({"extra": _json(extra)} if extra else {})


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:  # JSON has no NaN and no infinity
        return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
