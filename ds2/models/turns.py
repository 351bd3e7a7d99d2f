"""What ends an assistant's turn in a chat template: the token after which a model has said all it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_ANSWER = "An answer, whole."
_PROBE = ({"role": "user", "content": "A question?"}, {"role": "assistant", "content": _ANSWER})


@dataclass(frozen=True)
class TurnEnd:
    """The token that ends an assistant's turn."""

    text: str
    id: int


def turn_end(tokenizer: Any) -> TurnEnd | None:
    """The first special or added token after an assistant's words in the tokenizer's chat template.

    None where it has no template, or its template ends a turn with no single token: a model trained in it
    would not learn to stop. Raises jinja2's TemplateError where the template refuses a question and its
    answer.
    """
    if getattr(tokenizer, "chat_template", None) is None:
        return None
    text: str = tokenizer.apply_chat_template(list(_PROBE), tokenize=False)
    _, found, tail = text.rpartition(_ANSWER)
    if not found:
        return None
    tokens = {str(token): id for token, id in tokenizer.get_added_vocab().items()}
    tokens |= dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    places = [(tail.find(token), -len(token), token) for token in tokens if token and token in tail]
    if not places:
        return None
    token = min(places)[2]  # the longest of those that begin first
    return TurnEnd(token, int(tokens[token]))


def stop_ids(tokenizer: Any) -> list[int]:
    """Ids of the tokens after which nothing more is to be generated: the turn's end, and the end of the
    sequence.
    """
    end = turn_end(tokenizer)
    ids = [end.id if end else None, tokenizer.eos_token_id]
    return list(dict.fromkeys(id for id in ids if id is not None))
