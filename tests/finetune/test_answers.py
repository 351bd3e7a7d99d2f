"""What raters judge and what training learns are the same turns, from the source row to the labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.row_shapes import CALL, READ, A, U, read

from ds2.artifacts.subset import conversations, write_subset
from ds2.config import Turns
from ds2.models.trained_tokens import decode_trained, encode_samples, set_template
from ds2.selection.request import Choice
from finetune.rows import read_conversations

B = A | {"content": "b"}
ROWS = [
    *(row for _, row, _ in READ),
    {"messages": [U, A | {"weight": 0}, U, B, U]},
    {"messages": [U, {"role": "assistant", "content": "I look.", "tool_calls": [CALL]}, U, B | {"train": 0}]},
    {"messages": [A, U, A, B, {"role": "system", "content": "s"}, U, A | {"weight": 0.0}, U]},
]


@pytest.mark.parametrize("turns", Turns)
def test_the_labels_are_what_the_rating_is_of(tokenizer: Any, tmp_path, turns):
    pool = read(*ROWS, turns=turns)
    choice = Choice(np.arange(len(pool)), ["so"] * len(pool))
    write_subset(tmp_path, pool, choice, {}, title="all")
    set_template(tokenizer, "tulu")
    told = read_conversations(conversations(tmp_path))
    trained = list(decode_trained(tokenizer, encode_samples(tokenizer, told, max_tokens=4000)))
    end = tokenizer.eos_token
    answers = [
        "".join(m.text.strip() + end for m in sample.messages if m.is_answer) for sample in pool.samples
    ]
    assert trained == answers
    assert [text.replace(end, " ").strip() for text in trained] == [text.strip() for text in pool.answers()]


def test_under_turns_last_each_sample_has_one_answer_and_ends_with_it():
    pool = read(*ROWS, turns=Turns.last)
    for sample in pool.samples:
        assert [m.is_answer for m in sample.messages].count(True) == 1
        assert sample.messages[-1].is_answer
