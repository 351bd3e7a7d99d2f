"""Conversations as token ids, and which of those tokens carry the loss: assistant contents, those of weight 0
aside, and their end tokens.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import MissingInput, UserError
from ds2.models.pretrained import load_tokens
from ds2.models.turns import turn_end

Messages = Sequence[dict[str, Any]]
TEMPLATES = Path(__file__).parent / "templates"
OWN_TEMPLATE = "model"
"""In place of a file of `TEMPLATES`: the base model's own template."""
CHUNK = 512
"""Conversations tokenised at a time."""


@dataclass
class EncodedSamples:
    """Token ids of the usable samples, in the order given, and how many were cut or dropped."""

    ids: list[NDArray[np.int32]] = field(default_factory=list)
    trained: list[NDArray[np.bool_]] = field(default_factory=list)
    """Beside each token id: whether its loss counts."""
    rows: list[int] = field(default_factory=list)
    """Which of the conversations given each one is."""
    truncated: int = 0
    dropped_without_assistant: int = 0
    dropped_by_cleaning: int | None = None
    """Of those that had tokens to train: how many kept none. None: tokens were not cleaned."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.array([len(ids) for ids in self.ids], dtype=np.int64)


def load_tokenizer(name: str, revision: str | None) -> Any:
    """The tokenizer, with a padding token (the end token where it has none of its own)."""
    try:
        tokenizer = load_tokens(name, revision)
    except (OSError, ValueError) as error:
        raise MissingInput(f"no tokenizer of base model {name}: {str(error).splitlines()[0]}") from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    return tokenizer


def known_templates() -> tuple[str, ...]:
    """Names of the files of `TEMPLATES`, and `model` last."""
    return (*sorted(path.stem for path in TEMPLATES.glob("*.jinja")), OWN_TEMPLATE)


def set_template(tokenizer: Any, template: str) -> None:
    """Give the tokenizer a chat template: a file of `ds2/models/templates/`, or its own for `model`.

    Raises UserError where the template does not exist, needs a token that the base model's tokenizer lacks,
    or ends an assistant's turn with no token: a model trained in it would never stop.
    """
    name = getattr(tokenizer, "name_or_path", "")
    if not getattr(tokenizer, "is_fast", False):
        raise UserError(f"the tokenizer of {name} gives no character offsets: a tokenizer.json is needed")
    if tokenizer.eos_token is None:
        raise UserError(f"the tokenizer of {name} has no end-of-sequence token: an answer could not end")
    if template == OWN_TEMPLATE:
        if tokenizer.chat_template is None:
            raise UserError(f"{name} has no chat template of its own: use finetune.template=tulu")
        _end_of_turn(tokenizer)
        return
    if template not in known_templates():
        raise UserError(f"finetune.template={template} is unknown: use one of {', '.join(known_templates())}")
    tokenizer.chat_template = (TEMPLATES / f"{template}.jinja").read_text(encoding="utf-8").rstrip("\n")


def with_native_calls(messages: Messages) -> Messages:
    """The messages with the arguments of their tool calls as objects, which models' own templates expect."""
    return [
        turn | {"tool_calls": [_native(call) for call in turn["tool_calls"]]}
        if "tool_calls" in turn
        else turn
        for turn in messages
    ]


def _native(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    try:
        arguments = json.loads(function["arguments"])
    except ValueError:  # what a model wrote as arguments may be no JSON: it stays text
        arguments = function["arguments"]
    return call | {"function": function | {"arguments": arguments}}


def functions_of(tools: Any) -> list[dict[str, Any]] | None:
    """The tools of a row, a list or JSON text of one, as chat templates take them; None where it has none.

    Raises ValueError where they are something else than a list of objects.
    """
    listed = json.loads(tools) if isinstance(tools, str) and tools.strip() else tools
    if not listed:
        return None
    if not isinstance(listed, list) or not all(isinstance(tool, dict) for tool in listed):
        raise ValueError("tools are no list of objects")
    return listed


def trained_spans(
    tokenizer: Any, messages: Messages, end: str | None = None, tools: Any = None
) -> tuple[str, list[tuple[int, int]]]:
    """The rendered conversation and the character ranges of its trained assistant contents, each with its end
    token.

    A range begins where generation would begin, after the assistant's opening mark, so that training and
    inference see the same prompt, and ends with the token that ends the turn: what a template puts after that
    is not the assistant's.

    Args:
        end: text of that token, where it is known already.
        tools: that the conversation may call; a template of the model's own shows them.
    """
    text, end = _render(tokenizer, messages, tools=tools), end or _end_of_turn(tokenizer)
    spans = []
    for i, message in enumerate(messages):
        if message["role"] != "assistant" or message.get("weight") == 0:
            continue
        if i == 0:
            opening = _generation_prompt(tokenizer)
            start = text.index(opening) + len(opening)
        else:
            before = _render(tokenizer, messages[:i], add_generation_prompt=True, tools=tools)
            start = len(before) if text.startswith(before) else -1
        through = _render(tokenizer, messages[: i + 1], tools=tools)
        place = through.rfind(end, max(start, 0))
        # A turn that calls a tool may end in another token than one that answers.
        stop = place + len(end) if place >= 0 else len(through.rstrip())
        if start < 0 or not text.startswith(through[:stop]):
            raise UserError(
                "the base model's chat template rewrites earlier turns: use finetune.template=tulu"
            )
        spans.append((start, stop))
    return text, spans


def encode_samples(
    tokenizer: Any,
    conversations: Sequence[Messages],
    *,
    max_tokens: int,
    tools: Sequence[Any] | None = None,
    progress: Any = None,
) -> EncodedSamples:
    """Tokenise conversations; cut each at `max_tokens`; drop those left without a trained token.

    `tools`, where given, are those of each conversation. `progress`, where given, is called with the number
    of conversations done after each chunk.
    """
    encoded = EncodedSamples()
    # One more, to tell a sample that fits from one that is cut.
    for row, ids, inside in _tokenised(tokenizer, conversations, tools, max_tokens + 1, progress):
        trained = inside[:max_tokens]
        if not trained.any():
            encoded.dropped_without_assistant += 1
            continue
        encoded.truncated += len(ids) > max_tokens
        encoded.ids.append(np.array(ids[:max_tokens], dtype=np.int32))
        encoded.trained.append(trained)
        encoded.rows.append(row)
    return encoded


class TokenCounts(NamedTuple):
    """Of N conversations, as `encode_samples` finds them; 0 of those that it leaves out."""

    lengths: NDArray[np.int64]
    """(N,) all tokens, prompts too."""
    trained: NDArray[np.int64]
    """(N,) those that carry loss."""


def count_tokens(
    tokenizer: Any,
    conversations: Sequence[Messages],
    *,
    max_tokens: int,
    tools: Sequence[Any] | None = None,
    progress: Any = None,
) -> TokenCounts:
    """The tokens of each conversation; arguments as of `encode_samples`."""
    counts = np.zeros((2, len(conversations)), dtype=np.int64)
    for row, ids, trained in _tokenised(tokenizer, conversations, tools, max_tokens, progress):
        if trained.any():
            counts[:, row] = len(ids), trained.sum()
    return TokenCounts(*counts)


def count_steps(samples: int, *, epochs: float, max_steps: int | None, total_batch: int) -> int:
    """Optimiser steps: `max_steps` where given, else enough full batches for `epochs` passes."""
    return max_steps if max_steps is not None else math.ceil(epochs * samples / total_batch)


def most_trained(lengths: NDArray[np.int64], *, epochs: float, total_batch: int) -> int:
    """Tokens of all passes over samples of these lengths, at most: what is beyond whole passes is drawn."""
    if not len(lengths):
        return 0
    steps = count_steps(len(lengths), epochs=epochs, max_steps=None, total_batch=total_batch)
    passes, more = divmod(steps * total_batch, len(lengths))
    return int(passes * lengths.sum() + np.sort(lengths)[len(lengths) - more :].sum())


def _tokenised(
    tokenizer: Any, conversations: Sequence[Messages], tools: Sequence[Any] | None, most: int, progress: Any
) -> Iterator[tuple[int, list[int], NDArray[np.bool_]]]:
    """Of each conversation its row, its first `most` tokens, and which of them are trained."""
    end = _end_of_turn(tokenizer)
    for at in range(0, len(conversations), CHUNK):
        chunk = conversations[at : at + CHUNK]
        named = [None] * len(chunk) if tools is None else tools[at : at + CHUNK]
        rendered = [
            trained_spans(tokenizer, messages, end, told) for messages, told in zip(chunk, named, strict=True)
        ]
        tokens = tokenizer(
            [text for text, _ in rendered], add_special_tokens=False, return_offsets_mapping=True,
            truncation=True, max_length=most,
        )  # fmt: skip
        parts = zip(tokens["input_ids"], tokens["offset_mapping"], rendered, strict=True)
        for row, (ids, ranges, (_, spans)) in enumerate(parts, start=at):
            yield row, ids, _inside(np.array(ranges, dtype=np.int64).reshape(-1, 2), spans)
        if progress is not None:
            progress(len(rendered))


def decode_trained(tokenizer: Any, encoded: EncodedSamples) -> Iterator[str]:
    """The text that each sample trains, end tokens shown: for tests and for a look at the data."""
    for ids, trained in zip(encoded.ids, encoded.trained, strict=True):
        yield tokenizer.decode(ids[trained].tolist())


def _inside(ranges: NDArray[np.int64], spans: list[tuple[int, int]]) -> NDArray[np.bool_]:
    first, last = ranges[:, 0], ranges[:, 1]
    trained = np.zeros(len(ranges), dtype=np.bool_)
    for start, end in spans:
        # Some tokenizers trim white space from the offsets, which leaves empty ranges: at a border they
        # belong outside.
        held = np.where(first < last, first >= start, first > start)
        trained |= held & (last <= end) & (first < end)
    return trained


def _render(
    tokenizer: Any, messages: Messages, add_generation_prompt: bool = False, tools: Any = None
) -> str:
    from jinja2 import TemplateError

    try:
        text: str = tokenizer.apply_chat_template(
            list(messages), tools=tools, tokenize=False, add_generation_prompt=add_generation_prompt
        )
    except TemplateError as error:
        raise UserError(f"the chat template refuses a conversation: {error}") from error
    return text


def _end_of_turn(tokenizer: Any) -> str:
    from jinja2 import TemplateError

    try:
        end = turn_end(tokenizer)
    except TemplateError as error:
        raise UserError(f"the chat template refuses a conversation: {error}") from error
    if end is None:
        raise UserError(
            f"the chat template of {tokenizer.name_or_path} ends an assistant's turn with no token of its "
            "tokenizer: a model trained in it would never stop; use finetune.template=tulu"
        )
    return end.text


def _generation_prompt(tokenizer: Any) -> str:
    question = [{"role": "user", "content": "x"}]
    return _render(tokenizer, question, add_generation_prompt=True)[
        len(_render(tokenizer, question)) :
    ].lstrip()
