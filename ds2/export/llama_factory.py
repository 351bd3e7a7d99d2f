"""LLaMA-Factory: its ShareGPT form, with the system prompt and the tools as columns.

Its converter takes questions (`human`, `observation`) and answers (`gpt`, `function_call`) in turn, an answer
last, and skips every other row. A text beside a tool call stands before `<tool_call>` in a `function_call`,
reasoning in `<think>` tags before the answer: both as its templates read them back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ds2.artifacts.subset import Chosen
from ds2.base.json_files import write_json, write_json_lines
from ds2.export.subset import Subset, json_text, listed_tools, native_arguments
from ds2.export.tally import Tally
from ds2.pool import Message

DATA, INFO, STANZA = "train.jsonl", "dataset_info.json", "llama_factory.yaml"
_TAGS = {
    "role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt",
    "observation_tag": "observation", "function_tag": "function_call", "system_tag": "system",
}  # fmt: skip
_QUESTIONS = ("human", "observation")
_NEXT_RESULT = "\n</tool_response>\n<tool_response>\n"
"""Between the results of several calls, as its own converter of OpenAI's form joins them."""


def write(subset: Subset, folder: Path, tally: Tally) -> None:
    """The data, and the entry that its `dataset_info.json` needs."""
    write_json_lines(folder / DATA, _rows(subset, tally))
    columns = {"messages": "conversations", "system": "system"}
    columns |= {"tools": "tools"} if subset.has_tools else {}
    entry = {"file_name": DATA, "formatting": "sharegpt", "columns": columns, "tags": _TAGS}
    write_json(folder / INFO, {subset.name: entry})


def stanza(subset: Subset, folder: str) -> str:
    """For the training YAML."""
    last = "mask_history: true  # rows train their last answer alone\n" if subset.last_alone else ""
    return (
        f"dataset_dir: {folder}\ndataset: {subset.name}\n{last}"
        "template: NAME  # your model's; its default system prompt stands in where a row has none\n"
    )


def _rows(subset: Subset, tally: Tally) -> Iterator[Mapping[str, Any]]:
    for row in subset.chosen():
        converted = _row(subset, row, tally)
        if converted is not None:
            tally.rows += 1
            yield converted | subset.columns(row)


def _row(subset: Subset, row: Chosen, tally: Tally) -> dict[str, Any] | None:
    messages = list(row.messages)
    system = messages.pop(0).content if messages[0].role == "system" else ""
    while messages and messages[-1].role != "assistant":
        messages.pop()
    turns = _turns(messages)
    why = _skipped(turns, row.tools)
    if why:
        tally.leave_out(why, row.id)
        return None
    if subset.weighted and not all(m.trained for m in messages if m.role == "assistant"):
        tally.differ("turns that are not to be trained are trained: its format has no flag for them", row.id)
    if any(message.fields.get("reasoning_content") for message in messages):
        tally.differ("reasoning stands in <think> tags before the answer and is trained with it", row.id)
    tools = {"tools": row.tools} if subset.has_tools else {}
    extra = {"extra": row.extra} if subset.has_extra else {}
    return {"id": row.id, "source": row.source, "conversations": turns, "system": system, **tools, **extra}


def _turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    """The turns after the system prompt; results that follow one another are one turn."""
    turns: list[dict[str, str]] = []
    for message in messages:
        turn = _turn(message)
        if turn["from"] == "observation" and turns and turns[-1]["from"] == "observation":
            turns[-1]["value"] += _NEXT_RESULT + turn["value"]
        else:
            turns.append(turn)
    return turns


def _turn(message: Message) -> dict[str, str]:
    reasoning, calls = message.fields.get("reasoning_content"), message.fields.get("tool_calls")
    text = (f"<think>\n{reasoning}\n</think>\n\n" if reasoning else "") + message.content
    if calls:
        told = [{"name": c["function"]["name"], "arguments": native_arguments(c)} for c in calls]
        value = json_text(told)
        value = f"{text}\n<tool_call>{value}</tool_call>" if message.content else text + value
        return {"from": "function_call", "value": value}
    names = {"user": "human", "assistant": "gpt", "tool": "observation", "system": "system"}
    return {"from": names[message.role], "value": text}


def _skipped(turns: Sequence[Mapping[str, str]], tools: str) -> str | None:
    """Why its converter would skip the row, or its template stop at it."""
    if not turns:
        return "no answer"
    if any(turn["from"] == "system" for turn in turns):
        return "a system turn after the first turn"
    if turns[0]["from"] not in _QUESTIONS:
        return "an answer comes first"
    if any((turn["from"] in _QUESTIONS) != (i % 2 == 0) for i, turn in enumerate(turns)):
        return "two questions or two answers follow one another"
    if tools and listed_tools(tools) is None:
        return "its tools are no JSON list of tools"
    return None
