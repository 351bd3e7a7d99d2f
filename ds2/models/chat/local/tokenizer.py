"""What local models share: their tokenizer, their room, and the probabilities of an answer's tokens."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ds2.base.errors import MissingInput, UserError
from ds2.config import ChatConfig
from ds2.models.chat import AnswerForm, ChatRequest, Place
from ds2.models.pretrained import load_tokens

PLAIN_TEMPLATE = "{% for message in messages %}{{ message['content'] }}\n\n{% endfor %}"
"""For models that were never taught to chat: the bare question, which they continue."""
FOUR_BIT = "bitsandbytes_4bit"
"""`quantization` of the paper's script."""
SPACES = ("", "▁", "Ġ")
"""How tokenizers write a token that follows a space, beside the bare one."""


def model_path(config: ChatConfig) -> str:
    """The local directory, or the name on the hub."""
    local = Path(config.model).expanduser()
    return str(local) if local.exists() else config.model


def load_tokenizer(config: ChatConfig, revision: str | None, place: Place) -> Any:
    """The model's tokenizer with a chat template, its own or the plain one, padding on the left.

    Raises:
        MissingInput: there is no such model.
    """
    try:
        tokenizer = load_tokens(model_path(config), revision)
    except (OSError, ValueError) as error:
        raise unloadable(config, error) from error
    if tokenizer.chat_template is None:
        place.say(f"{config.model} has no chat template: it is given the bare question")
        tokenizer.chat_template = PLAIN_TEMPLATE
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def answer_tokens(tokenizer: Any, form: AnswerForm, model: str) -> dict[int, int]:
    """Token -> place in `form.tokens`, for every token that is one of these, with or without a space before.

    Raises:
        UserError: one of them is no single token of this model.
    """
    vocabulary: Mapping[str, int] = tokenizer.get_vocab()
    places = {
        vocabulary[space + character]: place
        for place, character in enumerate(form.tokens)
        for space in SPACES
        if space + character in vocabulary
    }
    missing = [character for place, character in enumerate(form.tokens) if place not in places.values()]
    if missing:
        raise UserError(
            f"{form.option}: the tokenizer of {model} has no token for {', '.join(missing)}; {form.otherwise}"
        )
    return places


def distribution(tokens: Mapping[int, int], probabilities: Mapping[int, float]) -> tuple[float, ...]:
    """The probability of each place, from those of `answer_tokens`, renormalised."""
    mass = [0.0] * (1 + max(tokens.values()))
    for token, probability in probabilities.items():
        if token in tokens:
            mass[tokens[token]] += probability
    total = sum(mass)
    return tuple(share / total for share in mass)


def most_likely(form: AnswerForm, shares: tuple[float, ...]) -> str:
    """The token with the largest share."""
    return form.tokens[max(range(len(shares)), key=shares.__getitem__)]


def batches(requests: Iterable[ChatRequest], size: int) -> Iterator[list[ChatRequest]]:
    """Requests by up to `size` at a time, drawn as they are needed."""
    source = iter(requests)
    while batch := list(itertools.islice(source, size)):
        yield batch


def check_room(config: ChatConfig, context: int | None) -> None:
    """Refuse a longest question and answer that do not fit a context of so many tokens (None: unknown).

    Raises:
        UserError: they do not.
    """
    longest = config.max_prompt_tokens + config.max_new_tokens
    if context is not None and longest > context:
        name = config.group
        raise UserError(
            f"{name}.max_prompt_tokens={config.max_prompt_tokens} and "
            f"{name}.max_new_tokens={config.max_new_tokens} are more than the {context} tokens that "
            f"{config.model} takes; lower {name}.max_prompt_tokens"
        )


def unloadable(config: ChatConfig, error: Exception) -> MissingInput:
    """One line for a model that cannot be loaded."""
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return MissingInput(f"{config.group}.model={config.model} cannot be loaded: {reason}")
