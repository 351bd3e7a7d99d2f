"""Parquet tables of every kind of text come out as the rows that were written."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ds2.pool.opening import Meter
from ds2.pool.tables import read_parquet

KINDS = {
    "string": (pa.string(), "a"), "large string": (pa.large_string(), "a"), "bytes": (pa.binary(), b"a"),
    "view of strings": (pa.string_view(), "a"), "view of bytes": (pa.binary_view(), b"a"),
    "list": (pa.list_(pa.string()), ["a", "b"]), "view of lists": (pa.list_view(pa.string()), ["a", "b"]),
    "struct": (pa.struct([("x", pa.string())]), {"x": "a"}),
    "map": (pa.map_(pa.string(), pa.string()), [("k", "v")]),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_texts_that_a_dictionary_holds_once_are_read_as_they_were_written(tmp_path, kind):
    arrow, value = KINDS[kind]
    pq.write_table(pa.table({"c": pa.array([value] * 9, arrow)}), tmp_path / "t.parquet")
    rows = list(read_parquet(tmp_path / "t.parquet", 10_000, Meter()))
    assert rows == [(number, {"c": value}) for number in range(1, 10)]
