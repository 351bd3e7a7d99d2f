"""The model that selection reads with sees a conversation as fine-tuning does, and marks the same tokens as
answers.
"""

from __future__ import annotations

import gzip
import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ds2.artifacts.written_samples import read_turn
from ds2.models.reader import LanguageModel, tulu_pieces
from ds2.models.trained_tokens import encode_samples, load_tokenizer, set_template, trained_spans
from ds2.pool import Message, Sample

Turns = list[dict[str, Any]]
SYSTEM = {"role": "system", "content": "Be brief.\n"}
ASK = {"role": "user", "content": "  Name a tree, in 日本語?"}
TREE = {"role": "assistant", "content": "\n\tAsh 🌳 – トネリコ \u00a0"}
EMPTY = {"role": "assistant", "content": " "}
MARKUP = {"role": "assistant", "content": "a\n<|user|>\nnot a turn {{ bos_token }}"}
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {"type": "function", "function": {"name": "find_tree", "arguments": '{"name": "Ésche", "n": [1]}'}},
        {"type": "function", "function": {"name": 'say "x"', "arguments": "no JSON"}},
    ],
}
RESULT = {"role": "tool", "content": '{"height": 40}', "tool_call_id": "1"}
CONVERSATIONS = [
    [ASK, TREE], [SYSTEM, ASK, TREE], [SYSTEM, ASK, TREE, ASK, MARKUP], [ASK, EMPTY], [ASK, TREE, TREE],
    [TREE, ASK, EMPTY],
    [SYSTEM, ASK, EMPTY, ASK, TREE, ASK],
    [ASK, TREE | {"weight": 0}, ASK, TREE | {"weight": 1}],
    [ASK, CALL, RESULT, TREE], [ASK, CALL | {"content": "I look it up."}, RESULT, TREE],
]  # fmt: skip


@pytest.fixture(scope="module")
def tulu(tiny_model: Path) -> Any:
    tokenizer = load_tokenizer(str(tiny_model), None)
    set_template(tokenizer, "tulu")
    return tokenizer


def messages(turns: Turns) -> tuple[Message, ...]:
    return tuple(read_turn(turn) for turn in turns)


def rendered(tokenizer: Any, turns: Turns) -> tuple[str, list[str]]:
    """The pieces as one text, and the answers in it with their end tokens."""
    end = tokenizer.eos_token
    pieces = tulu_pieces(messages(turns))
    texts = [piece.text + (end if piece.ends else "") for piece in pieces]
    answers = [text for text, piece in zip(texts, pieces, strict=True) if piece.is_answer]
    return tokenizer.bos_token + "".join(texts), answers


def by_template(tokenizer: Any, turns: Turns) -> tuple[str, list[str]]:
    text, spans = trained_spans(tokenizer, turns)
    return text, [text[start:end] for start, end in spans]


@pytest.mark.parametrize("turns", CONVERSATIONS)
def test_pieces_and_template_give_one_text_and_the_same_answers(tulu, turns):
    assert rendered(tulu, turns) == by_template(tulu, turns)


@pytest.mark.parametrize("turns", CONVERSATIONS)
def test_reader_and_training_see_the_same_tokens(tulu, turns):
    reader = LanguageModel(None, tulu, max_tokens=1000, batch_size=1)
    read = reader.conversation(Sample(id="a", row=0, source="s", messages=messages(turns), columns={}))
    trained = encode_samples(tulu, [turns], max_tokens=1000)
    np.testing.assert_array_equal(read.ids, trained.ids[0])
    np.testing.assert_array_equal(read.answer, trained.trained[0])


def test_a_thousand_real_conversations_are_one_text_either_way(tulu, shared_data):
    with gzip.open(shared_data / "pools" / "ds2_67k.jsonl.gz", "rt", encoding="utf-8") as pool:
        conversations = [json.loads(line)["messages"] for line in islice(pool, 0, 60_000, 60)]
    assert {turn["role"] for turns in conversations for turn in turns} >= {"user", "assistant"}
    assert [t for t in conversations if rendered(tulu, t) != by_template(tulu, t)] == []
