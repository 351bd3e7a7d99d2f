"""Messages: the turns of a conversation, whatever a row calls their roles and texts.

A turn becomes a role (system, user, assistant, tool), its text, whether it is trained, and what of it has a
place of its own in the formats of trainers: `name`, `tool_calls` (OpenAI's form, arguments as a JSON string),
`tool_call_id`, `reasoning_content`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ds2.base.words import quoted
from ds2.pool.errors import BadRow

ROLES = {
    "system": ("system", "developer"),
    "user": ("user", "human", "prompter"),
    "assistant": ("assistant", "gpt", "bot", "model", "chatgpt", "ai", "chatbot"),
    "tool": ("tool", "observation", "function", "tool_response", "tool_result", "ipython"),
}
"""Role -> what rows call it, in lower case."""
CALLS = ("function_call", "tool_call")
"""Roles of a turn that is a tool call of the assistant's."""
_ROLE_OF = {word: role for role, words in ROLES.items() for word in words}
_ROLE_KEYS = ("role", "from", "speaker", "author")
_TEXT_KEYS = ("content", "value", "text", "message")
_WEIGHT_KEYS = ("weight", "train", "training", "loss")
_REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")
_EMPTY: tuple[Any, ...] = (None, "", [], {})


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    """system, user, assistant or tool."""
    content: str
    """As written."""
    trained: bool = True
    """False: an assistant turn that its row marks as not to be trained (`weight: 0`, `train: false`)."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Those of name, tool_calls, tool_call_id and reasoning_content that the turn has."""

    @property
    def text(self) -> str:
        """What raters, embedders and the Tulu template see: the content, then each tool call."""
        calls = self.fields.get("tool_calls")
        return self.content if not calls else "\n".join(filter(None, (self.content, *map(_call_text, calls))))

    @property
    def is_answer(self) -> bool:
        """Whether raters judge it and training learns it: an assistant turn that is to be trained."""
        return self.role == "assistant" and self.trained


def _call_text(call: Mapping[str, Any]) -> str:
    function = call["function"]
    name = json.dumps(function["name"], ensure_ascii=False)
    return f'<tool_call>\n{{"name": {name}, "arguments": {function["arguments"]}}}\n</tool_call>'


class TurnReader:
    """Turns to messages, whatever their keys; counts the fields of turns that have no place."""

    def __init__(self) -> None:
        self.passed_over: dict[str, int] = {}
        """Field of a turn that is not kept -> turns that had it."""

    def read(self, items: Any, where: str) -> tuple[Message, ...]:
        """The messages of one row.

        Args:
            items: a list of turns, of texts that take turns (LIMA's form) or of (question, answer) pairs;
                such a list as JSON text; or one list for each key of the turns.
            where: the row's field, named in errors.

        Raises:
            BadRow: no such list, an unknown role, a turn without text, or one that holds more than text.
        """
        turns = _listed(items, where)
        if all(isinstance(turn, str) for turn in turns):
            return tuple(Message("assistant" if i % 2 else "user", text) for i, text in enumerate(turns))
        messages: list[Message] = []
        for i, turn in enumerate(turns):
            if isinstance(turn, Mapping):
                messages += self._turn(turn, f"{where}[{i}]")
            elif _is_pair(turn):
                messages += _pair(turn)
            else:
                raise BadRow(f"{where}[{i}]", "is not an object", "turn is not an object")
        return tuple(messages)

    def _turn(self, turn: Mapping[str, Any], where: str) -> Iterator[Message]:
        if len(turn) == 2:  # the commonest, the fast way
            known, content = _ROLE_OF.get(str(turn.get("role"))), turn.get("content")
            if known is not None and isinstance(content, str):
                yield Message(known, content)
                return
        role_key = next((key for key in _ROLE_KEYS if turn.get(key) is not None), None)
        if role_key is None:
            yield from self._by_role(turn, where)
            return
        text_key = next((key for key in _TEXT_KEYS if key != role_key and turn.get(key) is not None), None)
        role, is_call = _role(turn[role_key], f"{where}.{role_key}")
        told = _told(turn, where)
        if text_key is None:
            if "tool_calls" not in told:
                missing = next((key for key in _TEXT_KEYS if key in turn), _expected_text(role_key))
                raise BadRow(f"{where}.{missing}", "is missing", "turn without text")
            content, thinking = "", ""
        else:
            content, thinking = text_of(turn[text_key], f"{where}.{text_key}")
        if is_call:
            content, told = _called(content, told)
        if thinking and "reasoning_content" not in told:
            told["reasoning_content"] = thinking
        if len(turn) > 2:
            self._count(turn, role_key, text_key)
        yield Message(role, content, role != "assistant" or _is_trained(turn), told)

    def _by_role(self, turn: Mapping[str, Any], where: str) -> Iterator[Message]:
        """A turn that has no role but texts under the names of roles: `{"human": .., "assistant": ..}`."""
        known = _ROLE_OF | {"input": "user", "output": "assistant"}
        named = [(key, known[key.lower()]) for key in turn if isinstance(key, str) and key.lower() in known]
        if not named:
            raise BadRow(f"{where}.{_ROLE_KEYS[0]}", "unknown role None", "unknown role")
        for key, role in named:
            if turn[key] not in _EMPTY:
                yield Message(role, text_of(turn[key], f"{where}.{key}")[0])

    def _count(self, turn: Mapping[str, Any], *used: str | None) -> None:
        known = {*used, *_WEIGHT_KEYS, *_REASONING_KEYS, "name", "tool_calls", "tool_call_id"}
        for key, value in turn.items():
            if key not in known and key != "function_call" and value not in _EMPTY:
                self.passed_over[key] = self.passed_over.get(key, 0) + 1


def text_of(value: Any, where: str) -> tuple[str, str]:
    """Text and reasoning of a content: text as it is, a whole number as text, the text parts of a list.

    Raises:
        BadRow: another kind of value, or a part that is no text: an image, audio.
    """
    if isinstance(value, str):
        return value, ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value), ""
    if isinstance(value, Mapping) and ("type" in value or "text" in value):
        value = [value]
    if not isinstance(value, list):
        raise BadRow(where, "is not text", "turn without text")
    texts, thoughts = [], []
    for i, part in enumerate(value):
        kind = part.get("type") if isinstance(part, Mapping) else "text"
        text = part if isinstance(part, str) else part.get("text") if isinstance(part, Mapping) else None
        if isinstance(part, Mapping) and kind in ("thinking", "reasoning"):
            thoughts.append(str(part.get("thinking") or text or ""))
        elif isinstance(text, str) and kind in (None, "text", "input_text", "output_text"):
            texts.append(text)
        else:
            raise BadRow(
                f"{where}[{i}]", f"is a part of type {kind}; DS2 reads text", f"content with a part of {kind}"
            )
    return "\n".join(texts), "\n".join(thoughts)


def _listed(items: Any, where: str) -> list[Any]:
    if isinstance(items, str) and items.lstrip()[:1] in ("[", "{"):
        try:
            items = json.loads(items)
        except (ValueError, RecursionError):
            raise BadRow(where, "is text that is not JSON", "is not a list of turns") from None
    if isinstance(items, Mapping) and items and all(isinstance(column, list) for column in items.values()):
        if len({len(column) for column in items.values()}) != 1:
            raise BadRow(where, "has lists of unequal length")
        items = [dict(zip(items, turn, strict=True)) for turn in zip(*items.values(), strict=True)]
    if not isinstance(items, list) or not items:
        raise BadRow(where, "is missing" if items is None else "is not a list of turns")
    return items


def _is_pair(turn: Any) -> bool:
    return isinstance(turn, Sequence) and len(turn) == 2 and all(isinstance(text, str) for text in turn)


def _pair(turn: Sequence[str]) -> Iterator[Message]:
    """(role, text), or (question, answer)."""
    role = _ROLE_OF.get(turn[0].strip().lower())
    if role is not None:
        yield Message(role, turn[1])
    else:
        yield Message("user", turn[0])
        yield Message("assistant", turn[1])


def _role(word: Any, where: str) -> tuple[str, bool]:
    """The role, and whether the turn is a tool call."""
    known = _ROLE_OF.get(word) if isinstance(word, str) else None
    if known is not None:
        return known, False
    plain = word.strip().lower().replace("-", "_") if isinstance(word, str) else ""
    if plain in CALLS:
        return "assistant", True
    if plain not in _ROLE_OF:
        raise BadRow(where, f"unknown role {quoted(word)}", "unknown role")
    return _ROLE_OF[plain], False


def _expected_text(role_key: str) -> str:
    return "value" if role_key == "from" else "content"


def _told(turn: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The turn's fields that are kept, in one form each."""
    told: dict[str, Any] = {}
    if isinstance(turn.get("name"), str):
        told["name"] = turn["name"]
    calls = turn.get("tool_calls") or turn.get("function_call")
    if calls:
        listed = [calls] if isinstance(calls, Mapping) else calls
        if not isinstance(listed, list):
            raise BadRow(f"{where}.tool_calls", "is not a list of calls", "tool calls without a name")
        told["tool_calls"] = [_call(call, f"{where}.tool_calls") for call in listed]
    if turn.get("tool_call_id") is not None:
        told["tool_call_id"] = str(turn["tool_call_id"])
    reasoning = next((turn[key] for key in _REASONING_KEYS if turn.get(key)), None)
    if isinstance(reasoning, str):
        told["reasoning_content"] = reasoning
    return told


def _call(call: Any, where: str) -> dict[str, Any]:
    """One tool call in OpenAI's form, its arguments as a JSON string."""
    function = call.get("function", call) if isinstance(call, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(name, str):
        raise BadRow(where, "has a call without a name", "tool calls without a name")
    assert isinstance(function, Mapping)
    arguments: Any = function.get("arguments")
    arguments = function.get("parameters", {}) if arguments is None else arguments
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    identity = {"id": str(call["id"])} if call.get("id") is not None else {}
    return {**identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def _called(content: str, told: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The text of a `function_call` turn as tool calls; text that holds none stays text."""
    try:
        value = json.loads(content)
        calls = [_call(call, "") for call in (value if isinstance(value, list) else [value])]
    except (ValueError, RecursionError):
        return content, told
    return "", {**told, "tool_calls": calls}


def _is_trained(turn: Mapping[str, Any]) -> bool:
    if len(turn) == 2:
        return True
    for key in _WEIGHT_KEYS:
        value = turn.get(key)
        if isinstance(value, str):
            value = {"false": False, "0": False, "no": False}.get(value.strip().lower(), True)
        if isinstance(value, bool) or (isinstance(value, int | float) and key != "loss"):
            return bool(value)
    return True
