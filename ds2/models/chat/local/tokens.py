"""What local models share: their tokenizer, how a question becomes tokens, and which tokens are digits."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ds2.base.errors import MissingInput, UserError
from ds2.config import LlmRaterConfig
from ds2.models.chat import Place, Request
from ds2.models.chat.tokens import DIGITS

PLAIN_TEMPLATE = "{% for message in messages %}{{ message['content'] }}\n\n{% endfor %}"
"""For models that were never taught to chat: the bare question, which they continue."""
FOUR_BIT = "bitsandbytes_4bit"
"""`rater.quantization` of the paper's script."""
SPACES = ("", "▁", "Ġ")
"""How tokenizers write a token that follows a space, beside the bare one."""


def model_path(config: LlmRaterConfig) -> str:
    """The local directory, or the name on the hub."""
    local = Path(config.model).expanduser()
    return str(local) if local.exists() else config.model


def load_tokenizer(config: LlmRaterConfig, revision: str | None, place: Place) -> Any:
    """The model's tokenizer with a chat template, its own or the plain one, padding on the left.

    Raises:
        MissingInput: there is no such model.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model_path(config), revision=revision)
    except (OSError, ValueError) as error:
        raise unloadable(config, error) from error
    if tokenizer.chat_template is None:
        place.say(f"{config.model} has no chat template: it is given the bare question")
        tokenizer.chat_template = PLAIN_TEMPLATE
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def digit_tokens(tokenizer: Any, name: str) -> dict[int, int]:
    """Token -> place in DIGITS, for every token that is one of these digits, with a space before it or without.

    Raises:
        UserError: a digit is no single token.
    """
    vocabulary: Mapping[str, int] = tokenizer.get_vocab()
    found = {
        vocabulary[space + digit]: place
        for place, digit in enumerate(DIGITS)
        for space in SPACES
        if space + digit in vocabulary
    }
    missing = [digit for place, digit in enumerate(DIGITS) if place not in found.values()]
    if missing:
        raise UserError(
            f"rater.reading=expected: the tokenizer of {name} has no token for {', '.join(missing)}; use "
            "rater.reading=answer"
        )
    return found


def distribution(tokens: Mapping[int, int], probabilities: Mapping[int, float]) -> tuple[float, ...]:
    """P(1), ..., P(9) from the probabilities of digit tokens, renormalised."""
    mass = [0.0] * len(DIGITS)
    for token, probability in probabilities.items():
        if token in tokens:
            mass[tokens[token]] += probability
    total = sum(mass)
    return tuple(share / total for share in mass)


def most_likely(shares: tuple[float, ...]) -> str:
    """The digit with the largest share."""
    return DIGITS[max(range(len(shares)), key=shares.__getitem__)]


def batches(requests: Iterable[Request], size: int) -> Iterator[list[Request]]:
    """Requests by up to `size` at a time, drawn as they are needed."""
    source = iter(requests)
    while batch := list(itertools.islice(source, size)):
        yield batch


def check_room(config: LlmRaterConfig, context: int | None) -> None:
    """Refuse a longest question and answer that do not fit the model's context of so many tokens (None: unknown).

    Raises:
        UserError: they do not.
    """
    if context is not None and config.max_prompt_tokens + config.max_new_tokens > context:
        raise UserError(
            f"rater.max_prompt_tokens={config.max_prompt_tokens} and rater.max_new_tokens={config.max_new_tokens} are more "
            f"than the {context} tokens that {config.model} takes; lower rater.max_prompt_tokens"
        )


def unloadable(config: LlmRaterConfig, error: Exception) -> MissingInput:
    """One line for a model that cannot be loaded."""
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return MissingInput(f"rater.model={config.model} cannot be loaded: {reason}")
