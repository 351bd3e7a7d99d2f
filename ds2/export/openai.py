"""OpenAI's supervised fine-tuning: a JSON Lines file of `messages` and `tools` and nothing else.

Its check of the file refuses unknown keys, a last turn that is not the assistant's, a call without a result
and a result without a call; a turn's `weight` of 0 is obeyed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ds2.artifacts.subset import Chosen
from ds2.base.json_files import write_json_lines
from ds2.export.subset import Subset, listed_tools
from ds2.export.tally import Tally
from ds2.pool import Message

DATA, STANZA = "train.jsonl", "openai_job.py"


def write(subset: Subset, folder: Path, tally: Tally) -> None:
    """The data."""
    write_json_lines(folder / DATA, _rows(subset, tally))


def stanza(subset: Subset, folder: str) -> str:
    """Upload, and start the job."""
    return (
        "from openai import OpenAI\n\n"
        "client = OpenAI()\n"
        f'file = client.files.create(file=open("{folder}/{DATA}", "rb"), purpose="fine-tune")\n'
        'client.fine_tuning.jobs.create(training_file=file.id, model="MODEL", '
        'method={"type": "supervised"})\n'
    )


def _rows(subset: Subset, tally: Tally) -> Iterator[Mapping[str, Any]]:
    for row in subset.chosen():
        messages = list(row.messages)
        while messages and messages[-1].role != "assistant":
            messages.pop()
        tools = listed_tools(row.tools) if row.tools else []
        turns = _turns(messages)
        why = _refused(messages, turns, tools)
        if why or turns is None or tools is None:
            tally.leave_out(why or "", row.id)
            continue
        tally.rows += 1
        _note(row, tally)
        listed = [{"type": "function", "function": function} for function in tools]
        yield {"messages": turns} | ({"tools": listed} if listed else {})


def _note(row: Chosen, tally: Tally) -> None:
    if any("reasoning_content" in message.fields for message in row.messages):
        tally.differ("reasoning is left out: the format has no place for it", row.id)


def _refused(messages: Sequence[Message], turns: object, tools: object) -> str | None:
    if not messages:
        return "no answer"
    if not any(message.role == "user" for message in messages):
        return "no question"
    if not any(message.is_answer for message in messages):
        return "no turn is trained"
    if tools is None:
        return "its tools are no JSON list of tools"
    return "a tool call without its result, or a result without its call" if turns is None else None


def _turns(messages: Sequence[Message]) -> list[dict[str, Any]] | None:
    """The turns with calls and results tied by ids, made where they lack one; None where they do not fit."""
    turns: list[dict[str, Any]] = []
    open_calls: list[str] = []
    made = 0
    for message in messages:
        if (message.role == "tool") != bool(open_calls):
            return None
        turn: dict[str, Any] = {"role": message.role, "content": message.content}
        if "name" in message.fields and message.role != "tool":
            turn["name"] = message.fields["name"]
        if message.role == "tool":
            identity = message.fields.get("tool_call_id", open_calls[0])
            if identity not in open_calls:
                return None
            open_calls.remove(identity)
            turn["tool_call_id"] = identity
        if calls := message.fields.get("tool_calls"):
            turn["tool_calls"] = []
            for call in calls:
                identity = call.get("id") or f"call_{(made := made + 1)}"
                turn["tool_calls"].append({"id": identity, "type": "function", "function": call["function"]})
                open_calls.append(identity)
            turn["content"] = message.content or None
        if not message.trained:
            turn["weight"] = 0
        turns.append(turn)
    # The last turn may call: what came back is not trained.
    return turns
