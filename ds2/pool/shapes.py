"""The shapes of rows, each turned into messages: found row by row, by the fields that a row has.

    messages            a list of turns under `messages`
    sharegpt            a list of turns under `conversations` or another name
    preference          `chosen`, with or without its prompt: the chosen side is read
    alpaca              `instruction`, `input`, `output`, `system`, `history`
    prompt_completion   `prompt` and `completion`, texts or lists of messages
    question_answer     another pair of a question and its answer
    text                `text` alone: no question, all of it is trained

The first that fits is taken, in this order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ds2.base.words import few
from ds2.config import PoolFormat
from ds2.pool.errors import BadRow
from ds2.pool.fields import Fields
from ds2.pool.messages import Message, TurnReader, text_of
from ds2.pool.transcripts import read_transcript

TURNS = ("messages", "conversations", "conversation", "dialogue", "dialog", "turns", "chat", "data")
QUESTIONS = ("instruction", "prompt", "question", "query", "problem", "input", "inputs", "user", "human")
ANSWERS = ("output", "completion", "response", "solution", "answer", "targets", "target", "outputs",
           "assistant")  # fmt: skip
CONTEXTS = ("input", "context")
SYSTEMS = ("system", "system_prompt", "system_message")
MEDIA = ("images", "image", "videos", "video", "audios", "audio")
NO_SHAPE = "no known shape"
_MESSAGES = (PoolFormat.auto, PoolFormat.messages)
_SPECIAL = frozenset(
    spelt
    for name in (*TURNS[1:], *SYSTEMS, *MEDIA, "chosen")
    for spelt in (name, name.capitalize(), name.upper())
)
"""Fields that change how a row with `messages` is read; without them nothing else need be looked at."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A row as a conversation, before it is checked."""

    shape: PoolFormat
    messages: tuple[Message, ...]
    used: tuple[str, ...]
    """The row's fields that the messages hold."""
    notes: tuple[str, ...] = ()
    """What was guessed."""


def read_row(raw: Mapping[str, Any], format: PoolFormat, turns: TurnReader) -> Reading:
    """One row in the shape that it has, or in the one asked for.

    Raises:
        BadRow: no known shape, or a field of its shape is missing or no text.
    """
    if isinstance(raw.get("messages"), list) and format in _MESSAGES and _SPECIAL.isdisjoint(raw):
        return Reading(PoolFormat.messages, turns.read(raw["messages"], "messages"), ("messages",))
    fields = Fields(raw)
    for name in MEDIA:
        held = fields.get(name)
        if not (held is None or held in ([], {}) or isinstance(held, str | int | float)):
            raise BadRow(fields.name(name), "holds media; DS2 reads text", f"{name} in the row")
    shape = _shape(fields) if format is PoolFormat.auto else format
    if shape is None:
        names = few(sorted(map(str, raw))) or "none"
        raise BadRow(
            "(row)",
            f"has none of the shapes that DS2 reads (docs/pools.md); its fields: {names}; pool.columns names "
            "them: pool.columns={user:FIELD,assistant:FIELD}",
            NO_SHAPE,
        )
    return _READERS[shape](fields, turns)


def has_shape(raw: Any) -> bool:
    """Whether a row has the fields of a known shape."""
    return isinstance(raw, dict) and _shape(Fields(raw)) is not None


def _shape(fields: Fields) -> PoolFormat | None:
    turns = fields.first(TURNS)
    if turns is not None and _holds_turns(fields[turns]):
        return PoolFormat.messages if turns == "messages" else PoolFormat.sharegpt
    if fields.first(_PREFERRED) is not None:
        return PoolFormat.preference
    question = fields.first(QUESTIONS)
    if question is not None and fields.first(ANSWERS, but=(question,)) is not None:
        named = {"instruction": PoolFormat.alpaca, "prompt": PoolFormat.prompt_completion}
        return named.get(question, PoolFormat.question_answer)
    if turns is not None and turns != "data":  # the row says what it is, and its reader what is wrong with it
        return PoolFormat.messages if turns == "messages" else PoolFormat.sharegpt
    if "instruction" in fields:
        return PoolFormat.alpaca
    if "text" in fields:
        return PoolFormat.text
    return None if question is None else PoolFormat.question_answer


def _holds_turns(value: Any) -> bool:
    if isinstance(value, str):
        return value.lstrip()[:1] in ("[", "{")
    if isinstance(value, Mapping):
        return bool(value) and all(isinstance(column, list) for column in value.values())
    return isinstance(value, list)


def _from_turns(fields: Fields, turns: TurnReader) -> Reading:
    held = [name for name in TURNS if name in fields and _holds_turns(fields[name])]
    key = held[0] if held else fields.first(TURNS) or "messages"
    messages = turns.read(fields.get(key), fields.name(key))
    notes = [f"{key} is read, {other} is kept as a field" for other in held[1:] if other in TURNS[:2]]
    used = [fields.name(key)]
    if messages[-1].role == "user" and "chosen" in fields:  # LLaMA-Factory's form of a preference
        chosen = fields["chosen"]
        messages += turns.read([chosen] if isinstance(chosen, Mapping) else chosen, "chosen")
        used.append(fields.name("chosen"))
        notes.append(_CHOSEN)
    messages, used = _with_system(fields, messages, used, notes)
    shape = PoolFormat.messages if key == "messages" else PoolFormat.sharegpt
    if key not in TURNS[:2]:
        notes.append(f"the conversation is read from {key}")
    return Reading(shape, messages, tuple(used), tuple(notes))


_PREFERRED = ("chosen", "preferred_output")
"""The second is OpenAI's, whose prompt is `{"input": {"messages": [...]}}`."""
_CHOSEN = "preference rows: the chosen side is read, the rejected one is kept as a field"


def _from_preference(fields: Fields, turns: TurnReader) -> Reading:
    side = fields.first(_PREFERRED) or "chosen"
    question = fields.first(QUESTIONS)
    notes, used = [_CHOSEN], [fields.name(side)]
    answer = _conversation(fields.get(side), side, "assistant", turns)
    if question is not None and not any(message.role == "user" for message in answer):
        asked, taken = _question(fields, question, turns)
        answer = (*_history(fields, used), *asked, *answer)
        used += taken
    elif question is not None:  # the chosen side holds its prompt
        used.append(fields.name(question))
    if question is not None and isinstance(fields[question], Mapping):
        used.remove(fields.name(question))  # it may hold more than its messages, such as tools
    messages, used = _with_system(fields, answer, used, notes)
    return Reading(PoolFormat.preference, messages, tuple(used), tuple(notes))


def _from_pair(fields: Fields, turns: TurnReader, question: str | None, shape: PoolFormat) -> Reading:
    if question is None:
        named = {PoolFormat.alpaca: "instruction", PoolFormat.prompt_completion: "prompt"}
        raise BadRow(named.get(shape, "question"), "is missing")
    answer = fields.first(ANSWERS, but=(question,))
    if answer is None:
        raise BadRow(_expected_answer(question), "is missing")
    notes: list[str] = []
    asked, used = _question(fields, question, turns)
    others = [fields.name(name) for name in ANSWERS if name in fields and name not in (question, answer)]
    if others:
        notes.append(f"the answer is read from {answer}; kept as fields: {', '.join(others)}")
    elif (question, answer) not in _PLAIN:
        context = f" and {' and '.join(used[1:])}" if used[1:] else ""
        notes.append(f"the question is read from {question}{context}, the answer from {answer}")
    if any(fields.get(name) is False for name in _UNWANTED):
        notes.append("a false label or kto_tag marks the answer as unwanted; it is read like the others")
    told = _conversation(fields[answer], fields.name(answer), "assistant", turns)
    used.append(fields.name(answer))
    messages: tuple[Message, ...] = (*_history(fields, used), *asked, *told)
    messages, used = _with_system(fields, messages, used, notes)
    return Reading(shape, messages, tuple(used), tuple(notes))


_UNWANTED = ("label", "kto_tag")
_PLAIN = {("instruction", "output"), ("prompt", "completion")}
"""Pairs that nobody needs to be told of."""


def _expected_answer(question: str) -> str:
    return {"instruction": "output", "prompt": "completion", "problem": "solution"}.get(question, "answer")


def _from_text(fields: Fields, turns: TurnReader) -> Reading:
    text = text_of(fields.get("text"), "text")[0] if "text" in fields else ""
    if not text.strip():
        raise BadRow("text", "is missing" if "text" not in fields else "is empty")
    used = (fields.name("text"),)
    messages = read_transcript(text)
    if messages is not None:
        note = "the marks of roles in text are read as turns"
        return Reading(PoolFormat.text, messages, used, (note,))
    note = "plain text without a question: each is one assistant turn, rated and trained whole"
    return Reading(PoolFormat.text, (Message("assistant", text),), used, (note,))


def _conversation(value: Any, where: str, role: str, turns: TurnReader) -> tuple[Message, ...]:
    """A text as one message of a role, or a transcript or list of messages as it is."""
    if isinstance(value, Mapping) and isinstance(value.get("messages"), list):
        value = value["messages"]
    elif isinstance(value, Mapping) and ("role" in value or "from" in value):
        value = [value]
    if isinstance(value, list) and value and isinstance(value[0], Mapping) and "type" not in value[0]:
        return turns.read(value, where)
    if isinstance(value, list) and value and all(isinstance(text, str) for text in value):
        if len(value) > 1:
            raise BadRow(where, f"is a list of {len(value)} texts", "several texts for one turn")
        value = value[0]
    text, thinking = text_of(value, where)
    transcript = read_transcript(text) if where == "chosen" else None
    if transcript is not None:
        return transcript
    return (Message(role, text, True, {"reasoning_content": thinking} if thinking else {}),)


def _question(fields: Fields, question: str, turns: TurnReader) -> tuple[tuple[Message, ...], list[str]]:
    """The user's turn, with its input or context below it, and the fields that it took."""
    used = [fields.name(question)]
    asked = _conversation(fields[question], used[0], "user", turns)
    context = fields.first(CONTEXTS, but=(question,))
    if context is None or len(asked) != 1:
        return asked, used
    below = fields[context]
    below = (
        "\n\n".join(below) if isinstance(below, list) and all(isinstance(t, str) for t in below) else below
    )
    text = text_of(below, fields.name(context))[0]
    used.append(fields.name(context))
    parts = [part for part in (asked[0].content, text) if part.strip()]
    return (Message("user", "\n".join(parts) if parts else ""),), used


def _history(fields: Fields, used: list[str]) -> Iterator[Message]:
    """Alpaca's `history`: the (question, answer) pairs before the row's own."""
    history = fields.get("history")
    if not history:
        return
    used.append(fields.name("history"))
    if not isinstance(history, list):
        raise BadRow("history", "is not a list of (question, answer) pairs")
    for i, pair in enumerate(history):
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            raise BadRow(f"history[{i}]", "is not a (question, answer) pair", "history is not pairs of texts")
        yield Message("user", pair[0])
        yield Message("assistant", pair[1])


def _with_system(
    fields: Fields, messages: tuple[Message, ...], used: list[str], notes: list[str]
) -> tuple[tuple[Message, ...], list[str]]:
    """The messages, after the row's own system prompt where they bring none."""
    name = fields.first(SYSTEMS)
    if name is None:
        return messages, used
    text = text_of(fields[name], fields.name(name))[0]
    if messages and messages[0].role == "system":
        if text.strip() and text != messages[0].content:
            notes.append(f"{name} is kept as a field: the conversation has a system turn of its own")
        return messages, used
    used = [*used, fields.name(name)]
    return ((Message("system", text), *messages) if text.strip() else messages), used


_READERS: Mapping[PoolFormat, Callable[[Fields, TurnReader], Reading]] = {
    PoolFormat.messages: _from_turns,
    PoolFormat.sharegpt: _from_turns,
    PoolFormat.preference: _from_preference,
    PoolFormat.alpaca: lambda f, t: _from_pair(f, t, f.first(("instruction",)), PoolFormat.alpaca),
    PoolFormat.prompt_completion: lambda f, t: _from_pair(
        f, t, f.first(("prompt",)), PoolFormat.prompt_completion
    ),
    PoolFormat.question_answer: lambda f, t: _from_pair(f, t, f.first(QUESTIONS), PoolFormat.question_answer),
    PoolFormat.text: _from_text,
}
