from __future__ import annotations

from typing import Any

import pytest
from jinja2 import TemplateError

from ds2.models.tiny import byte_tokenizer
from ds2.models.turns import stop_ids, turn_end

CHATML = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"


def tokenizer(template: str | None, *tokens: str) -> Any:
    made = byte_tokenizer()
    made.add_tokens(list(tokens))
    made.chat_template = template
    return made


@pytest.mark.parametrize(
    ("template", "end"),
    [
        (CHATML, "<|im_end|>"),
        (CHATML + "{{ eos_token }}", "<|im_end|>"),  # the conversation's end is not the turn's
        ("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}{{ eos_token }}{% endfor %}", "</s>"),
        ("{% for m in messages %}[{{ m['content'] }}]</s>\n{% endfor %}", "</s>"),
        ("{% for m in messages %}{{ m['content'] | trim }}<|im_end|>done</s>{% endfor %}", "<|im_end|>"),
    ],
)
def test_the_first_token_after_the_answer_ends_the_turn(template: str, end: str) -> None:
    made = tokenizer(template, "<|im_start|>", "<|im_end|>", "<|im_end|>done")
    if end == "<|im_end|>" and "done" in template:
        end = "<|im_end|>done"  # the longest token that begins there is the one that the tokenizer finds
    found = turn_end(made)
    assert found is not None
    assert (found.text, made.convert_ids_to_tokens(found.id)) == (end, end)


@pytest.mark.parametrize(
    "template",
    [
        None,
        "{% for m in messages %}### {{ m['role'] }}:\n{{ m['content'] }}\n\n{% endfor %}",
        CHATML,  # its marks are no tokens of this tokenizer
        "{{ messages | length }}",
    ],
)
def test_a_template_without_a_token_at_the_end_has_none(template: str | None) -> None:
    assert turn_end(tokenizer(template)) is None


def test_an_answer_stops_at_the_turns_end_and_at_the_sequences() -> None:
    made = tokenizer(CHATML, "<|im_start|>", "<|im_end|>")
    assert made.convert_ids_to_tokens(stop_ids(made)) == ["<|im_end|>", "</s>"]
    assert stop_ids(tokenizer(None)) == [made.eos_token_id]


def test_a_template_that_refuses_is_not_passed_over() -> None:
    with pytest.raises(TemplateError):
        turn_end(tokenizer("{{ raise_exception('no') }}"))
