"""Ids: kept as given, made from content, told apart."""

from __future__ import annotations

import math
import time

import pytest
from helpers.row_shapes import A, U, read

from ds2.base.errors import UserError
from ds2.config import BadRows, DuplicateIds, RowsPoolConfig
from ds2.pool.ids import prefixes
from ds2.pool.intake import read_pool
from ds2.pool.samples import Place


def row(**fields) -> dict:
    return {"messages": [U, A], **fields}


def other(text: str, **fields) -> dict:
    return {"messages": [U | {"content": text}, A], **fields}


def test_an_id_is_kept_as_its_text():
    ids = [0, "1", "a/b", "b c", "行", 2.0, 2.5, -3, "x" * 100_000]
    assert read(*(row(id=i) for i in ids)).ids == [
        "0",
        "1",
        "a/b",
        "b c",
        "行",
        "2",
        "2.5",
        "-3",
        "x" * 100_000,
    ]


@pytest.mark.parametrize("missing", [None, "", " ", math.nan])
def test_a_missing_id_is_made_from_the_content_and_stays_when_rows_move(missing):
    first = read(row(id=missing), other("p", id=missing))
    second = read(other("p"), {"messages": [U | {"content": "new"}, A]}, row())
    assert first.ids == [second.ids[2], second.ids[0]]
    assert len(set(second.ids)) == 3


def test_equal_rows_without_ids_are_numbered():
    first, second, third = read(row(), row(), row()).ids
    assert (second, third) == (f"{first}-2", f"{first}-3")


def test_many_equal_rows_take_no_long_time():
    started = time.process_time()
    ids = read(*[row()] * 20_000).ids
    assert time.process_time() - started < 5  # quadratic: a minute
    assert ids[-1] == f"{ids[0]}-20000"


def test_a_number_and_its_text_are_two_ids():
    assert read(row(id=1), row(id="1")).ids == ["1", "1 (text)"]
    assert read(row(id="1"), row(id=1)).ids == ["1", "1 (number)"]


def test_a_duplicate_is_refused_with_both_places_and_the_ways_out():
    with pytest.raises(
        UserError,
        match=r"pool.jsonl, row 3 \(id 'a'\), field id: duplicate id 'a', first "
        r"seen at pool.jsonl, row 1; .*on_duplicate_ids=prefix.*on_duplicate_ids=number",
    ):
        read(row(id="a"), row(id="b"), row(id="a"))  # fmt: skip
    pool = read(row(id="a"), row(id="a"), row(id="b"), on_bad_rows=BadRows.drop)
    assert (pool.ids, pool.dropped) == (["a", "b"], {"duplicate id": 1})


def test_duplicates_can_be_numbered():
    rows = [row(id="a"), row(id="a#2"), row(id="a"), row(id="a")]
    assert read(*rows, on_duplicate_ids=DuplicateIds.number).ids == ["a", "a#2", "a#3", "a#4"]


def test_shards_that_count_from_0_are_kept_by_prefix():
    places = [Place(f"/data/{shard}.jsonl.gz", n) for shard in ("p0", "p1") for n in (1, 2)]
    rows = [(place, row(id=place.number - 1)) for place in places]
    config = RowsPoolConfig(name="p", on_duplicate_ids=DuplicateIds.prefix)
    pool = read_pool(rows, config, "p", prefixes(place.file for place in places))
    assert pool.ids == ["p0/0", "p0/1", "p1/0", "p1/1"]


def test_files_of_one_name_are_told_apart_by_their_folders():
    prefix = prefixes(["/d/a/0.jsonl", "/d/b/0.jsonl"])
    assert (prefix("/d/a/0.jsonl"), prefix("/d/b/0.jsonl")) == ("a/0", "b/0")


def test_a_source_that_is_no_text_is_as_none_and_one_that_no_row_has_is_refused():
    assert read(row(source={"a": 1}), row(source=3)).sources == ["pool", "3"]
    assert read(row(meta={"topic": "t"}), source="meta.topic").sources == ["t"]
    with pytest.raises(UserError, match="pool.source=topic: no row has that field"):
        read(row(), source="topic")
