"""Rows of a pool: reading files and hub datasets, and turning each accepted shape into messages."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ds2.base.errors import MissingInput, UserError
from ds2.base.json_files import numbered_lines, open_bytes, parse_json_line
from ds2.config import PoolFormat

_SUFFIXES = (".jsonl", ".json", ".parquet", ".jsonl.gz", ".json.gz")
_ROLES = {
    "system": "system", "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "bot": "assistant", "model": "assistant",
    "chatgpt": "assistant",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    """system, user or assistant."""
    content: str


class BadRow(ValueError):
    """A row that is not a usable conversation."""

    def __init__(self, field: str, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason or message
        """The kind of fault, to count by."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that is not JSON, in place of its row."""

    message: str


@dataclass(frozen=True, slots=True)
class ParsedRow:
    id: str
    source: str
    messages: tuple[Message, ...]
    columns: Mapping[str, Any]


def files(path: str) -> list[Path]:
    """The pool's files, sorted: one file, those of a folder, or the matches of a glob pattern.

    Raises:
        UserError: there is none, or an ending that is not read.
    """
    root = Path(path).expanduser()
    if root.is_dir():
        matching = sorted(p for p in root.iterdir() if p.name.endswith(_SUFFIXES))
    elif root.exists():
        matching = [root]
    else:
        # Not Path.glob: the pattern may be absolute.
        matching = sorted(Path(match) for match in glob.glob(str(root), recursive=True))  # noqa: PTH207
    if not matching:
        raise MissingInput(f"pool.path={path}: no such file, or no {', '.join(_SUFFIXES)} file in it")
    for file in matching:
        if not file.name.endswith(_SUFFIXES):
            raise UserError(f"pool.path: {file} does not end in {', '.join(_SUFFIXES)}")
    return matching


def read_file(path: Path) -> Iterator[tuple[str, Any]]:
    """`(where, row)` for each row of one file; `where` names file and row, counted from 1 as editors do."""
    if path.name.endswith(".parquet"):
        yield from _read_parquet(path)
    elif path.name.endswith((".json", ".json.gz")):
        yield from _read_json(path)
    else:
        yield from _read_jsonl(path)


def _read_jsonl(path: Path) -> Iterator[tuple[str, Any]]:
    for number, line in numbered_lines(path):
        try:
            row = parse_json_line(line)
        except ValueError as error:
            row = Unreadable(str(error))
        yield f"{path}, row {number}", row


def _read_json(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        with open_bytes(path) as handle:
            value = json.loads(handle.read().decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path} is not JSON ({error.msg}, line {error.lineno}); JSON Lines end in .jsonl"
        ) from error
    rows = value.get("data") if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise UserError(f"{path} holds neither a list of rows nor an object with a list under `data`")
    yield from ((f"{path}, row {number}", row) for number, row in enumerate(rows, 1))


def _read_parquet(path: Path) -> Iterator[tuple[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path)
        number = 0
        for batch in table.iter_batches(batch_size=4096):
            for row in batch.to_pylist():
                number += 1
                yield f"{path}, row {number}", row
    except pa.ArrowInvalid as error:
        raise UserError(f"{path} is not a Parquet file: {error}") from error


class RowParser:
    """Turns rows into messages; with `format=auto` the shape is decided by the first row that shows one."""

    def __init__(self, format: PoolFormat, source_field: str | None, pool_name: str) -> None:
        self._format = format
        self._source_fields = (source_field,) if source_field else ("source", "dataset")
        self._pool_name = pool_name

    def parse(self, raw: Any, row: int) -> ParsedRow:
        """One row as a conversation.

        Raises:
            BadRow: not JSON, not an object, a missing or ill-typed field, an unknown role, an empty user
                turn, or no assistant turn.
        """
        if isinstance(raw, Unreadable):
            raise BadRow("(line)", raw.message, raw.message.split(" (")[0])
        if not isinstance(raw, dict):
            raise BadRow("(row)", f"is a {type(raw).__name__}, not an object", "not an object")
        if self._format is PoolFormat.auto:
            self._format = _detect(raw)
        if self._format is PoolFormat.alpaca:
            messages, used = _from_alpaca(raw), {"instruction", "input", "output", "system"}
        elif self._format is PoolFormat.sharegpt:
            messages, used = _from_turns(raw, "conversations", "from", "value"), {"conversations"}
        else:
            messages, used = _from_turns(raw, "messages", "role", "content"), {"messages"}
        _check(messages)
        sample_id = raw.get("id")
        source = next((raw[name] for name in self._source_fields if raw.get(name)), self._pool_name)
        return ParsedRow(
            f"row_{row}" if sample_id is None else str(sample_id),
            str(source),
            messages,
            {key: value for key, value in raw.items() if key not in used},
        )


def _detect(raw: Mapping[str, Any]) -> PoolFormat:
    if "messages" in raw:
        return PoolFormat.messages
    if "conversations" in raw:
        return PoolFormat.sharegpt
    if "instruction" in raw:
        return PoolFormat.alpaca
    names = ", ".join(sorted(raw)) or "none"
    raise BadRow(
        "messages", f"has none of messages, conversations, instruction (its fields: {names})", "no messages"
    )


def _from_alpaca(raw: Mapping[str, Any]) -> tuple[Message, ...]:
    text = {}
    for name in ("system", "instruction", "input", "output"):
        value = raw.get(name)
        if value is None and name in ("system", "input"):
            value = ""
        if not isinstance(value, str):
            raise BadRow(name, "is missing" if value is None else "is not text")
        text[name] = value
    user = f"{text['instruction']}\n{text['input']}" if text["input"].strip() else text["instruction"]
    system = (Message("system", text["system"]),) if text["system"].strip() else ()
    return (*system, Message("user", user), Message("assistant", text["output"]))


def _from_turns(raw: Mapping[str, Any], turns: str, role_key: str, text_key: str) -> tuple[Message, ...]:
    items = raw.get(turns)
    if not isinstance(items, list) or not items:
        raise BadRow(turns, "is missing" if items is None else "is not a list of turns")
    if all(isinstance(turn, str) for turn in items):  # LIMA's form: user and assistant take turns
        return tuple(Message("assistant" if i % 2 else "user", text) for i, text in enumerate(items))
    messages = []
    for i, turn in enumerate(items):
        if not isinstance(turn, Mapping):
            raise BadRow(f"{turns}[{i}]", "is not an object", "turn is not an object")
        role, content = turn.get(role_key), turn.get(text_key)
        known = _ROLES.get(role) if isinstance(role, str) else None
        if known is None:
            raise BadRow(f"{turns}[{i}].{role_key}", f"unknown role {role!r}", "unknown role")
        if not isinstance(content, str):
            raise BadRow(
                f"{turns}[{i}].{text_key}",
                "is missing" if content is None else "is not text",
                "turn without text",
            )
        messages.append(Message(known, content))
    return tuple(messages)


def _check(messages: tuple[Message, ...]) -> None:
    for i, message in enumerate(messages):
        if message.role == "user" and not message.content.strip():
            raise BadRow(f"messages[{i}].content", "user turn is empty")
    if not any(message.role == "user" for message in messages):
        raise BadRow("messages", "no user turn")
    if not any(message.role == "assistant" for message in messages):
        raise BadRow("messages", "no assistant turn")


def read_dataset(name: str, subset: str | None, split: str, commit: str) -> Iterator[tuple[str, Any]]:
    """Rows of a hub dataset at a commit, from the local cache where it is there.

    Raises:
        MissingInput: neither the hub nor the cache has it.
    """
    from datasets import load_dataset

    try:
        data = load_dataset(name, subset, split=split, revision=commit)
    except (OSError, ValueError) as error:
        raise MissingInput(
            f"dataset {name} ({split}) could not be loaded: {str(error).splitlines()[0]}; fetch it with "
            "prepare=true where the hub can be reached"
        ) from error
    yield from ((f"{name}, row {number}", row) for number, row in enumerate(data, 1))


def resolve_dataset(name: str, revision: str | None, *, offline: bool) -> str:
    """The commit that a dataset's revision (default: main) stands for."""
    from ds2.base.hub import resolve

    return resolve(name, revision, kind="dataset", offline=offline)
