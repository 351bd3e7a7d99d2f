"""What a source row holds reaches the subset, in one schema that `datasets` reads."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from helpers.row_shapes import CALL, READ, A, U, read

from ds2.artifacts.subset import read_chosen, read_conversations, write_subset
from ds2.artifacts.written_samples import layout, read_turn
from ds2.selection.request import Choice

MIXED = [
    {"id": "a", "source": "web", "messages": [U, A], "meta": {"x": 1}, "n": 1, "tags": ["t"]},
    {"id": "b", "dataset": "web", "messages": [U, A], "meta": "text", "n": math.nan, "none": None},
    {"id": "c", "messages": [U, A | {"weight": 0}, U, A], "n": math.inf},
    {"id": "d", "messages": [U, {"role": "assistant", "tool_calls": [CALL]},
                             {"role": "tool", "content": "r", "tool_call_id": "1"}, A],
     "tools": [{"type": "function", "function": {"name": "f"}}]},
    {"id": "e", "messages": [U, A | {"reasoning_content": "why"}], "tools": "[]"},
]  # fmt: skip


def subset(folder: Path, *rows: dict) -> Path:
    folder.mkdir()
    pool = read(*rows)
    write_subset(folder, pool, Choice(np.arange(len(pool)), ["so"] * len(pool)), {}, title="t")
    return folder


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.open(encoding="utf-8")]


def test_fields_of_all_kinds_are_kept_and_load(tmp_path):
    datasets = pytest.importorskip("datasets")
    file = str(subset(tmp_path / "subset", *MIXED) / "subset.jsonl")
    loaded = datasets.load_dataset("json", data_files=file, split="train", cache_dir=str(tmp_path / "cache"))
    assert [json.loads(text or "{}") for text in loaded["extra"]] == [
        {"meta": {"x": 1}, "n": 1, "tags": ["t"]}, {"meta": "text", "n": None}, {"n": None}, {}, {},
    ]  # fmt: skip
    assert [json.loads(text or "null") for text in loaded["tools"]] == [
        None, None, None, [{"type": "function", "function": {"name": "f"}}], [],
    ]  # fmt: skip
    assert [turn["weight"] for turn in loaded["messages"][2]] == [None, 0, None, 1]
    assert json.loads(loaded["messages"][3][1]["tool_calls"])[0]["function"]["name"] == "f"
    assert loaded["messages"][4][1]["reasoning_content"] == "why"


def test_what_comes_after_the_first_block_of_a_large_file_loads_too(tmp_path):
    datasets = pytest.importorskip("datasets")
    long = [{"id": f"long{i}", "messages": [U, A | {"content": "x" * 100_000}]} for i in range(250)]
    file = str(subset(tmp_path / "subset", *long, *MIXED) / "subset.jsonl")
    loaded = datasets.load_dataset("json", data_files=file, split="train", cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == 255
    assert loaded["tools"][-1] == "[]"


def test_all_rows_have_the_same_keys_and_plain_pools_no_more_than_before(tmp_path):
    rows = lines(subset(tmp_path / "mixed", *MIXED) / "subset.jsonl")
    assert len({tuple(row) for row in rows}) == 1
    assert len({tuple(turn) for row in rows for turn in row["messages"]}) == 1
    (plain,) = lines(subset(tmp_path / "plain", {"id": "a", "messages": [U, A]}) / "subset.jsonl")
    assert not {"extra", "tools"} & plain.keys()
    assert plain["messages"] == [U, A]


def test_a_written_turn_is_the_message_that_it_was(tmp_path):
    rows = [row for _, row, _ in READ]
    folder = subset(tmp_path / "subset", *rows)
    written = [tuple(map(read_turn, turns)) for _, turns in read_conversations(folder)]
    assert written == [sample.messages for sample in read(*rows).samples]
    assert [row.messages for row in read_chosen(folder)] == written


def test_the_source_is_not_said_twice():
    pool = read({"id": 1, "source": "web", "dataset": "d", "messages": [U, A]}, source="dataset")
    (sample,) = pool.samples
    assert layout([sample]).fields(sample) == {"extra": '{"source": "web"}'}
