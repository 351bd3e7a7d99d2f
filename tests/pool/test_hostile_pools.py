"""Damaged and hostile pools: each is read without its bad rows, or refused in a line that names the file."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers.hostile import TARGETS, changed, read_pool
from hypothesis import given, settings
from hypothesis import strategies as st

from ds2.base.errors import UserError
from ds2.config import BadRows
from ds2.pool import bounds
from ds2.pool.reading import read_file

U, A = {"role": "user", "content": "why?"}, {"role": "assistant", "content": "because"}


def row(**fields: Any) -> bytes:
    return json.dumps({"messages": [U, A]} | fields).encode()


def turns(*messages: Any) -> bytes:
    return row(messages=list(messages))


GOOD = row(id="g1"), row(id="g2")
LINES: dict[str, bytes] = {
    "no JSON": b"hello",
    "cut": row()[:-9],
    "single quotes": row().replace(b'"', b"'"),
    "a comma too many": row()[:-1] + b",}",
    "two objects": row() + row(),
    "a comment": b"// " + row(),
    "a list": b"[" + row() + b"]",
    "a text": b'"messages"',
    "a number": b"7",
    "null": b"null",
    "NaN": b"NaN",
    "no field": b"{}",
    "a field of no shape": b'{"x": 1}',
    "1,000 lists deep": b'{"x": ' + b"[" * 1000 + b"]" * 1000 + b"}",
    "100,000 lists deep": b"[" * 100_000,
    "100,000 objects deep": b'{"a":' * 100_000,
    "a number of 5,000 digits": b'{"x": ' + b"9" * 5000 + b"}",
    "half a character in a text": turns(U, A | {"content": "a \ud83d"}),
    "half a character in an id": row(id="\ud83d"),
    "half a character in a source": row(source="\ud83d"),
    "half a character in a key": row(**{"\udc00": 1}),
    "half a character in another field": row(x=[{"y": "\ud83d"}]),
    "no UTF-8": row().replace(b"why", b"wh\xff"),
    "an overlong byte": row().replace(b"why", b"\xc0\xaf"),
    "Latin-1": row().replace(b"why", "für".encode("latin-1")),
    "a raw NUL": row().replace(b"why", b"w\x00y"),
    "a raw control code": row().replace(b"why", b"w\x1by"),
    "an id that is there": row(id="g1"),
    "messages of null": row(messages=None),
    "messages of an object": row(messages={}),
    "messages of a text": row(messages="hello"),
    "messages of a number": row(messages=3),
    "no message": row(messages=[]),
    "a message of null": turns(None),
    "a message of a number": turns(1, 2),
    "a message in a message": turns(turns(U).decode(), [U]),
    "no role": turns({"content": "a"}, A),
    "a role of null": turns(U | {"role": None}, A),
    "a role of a number": turns(U | {"role": 7}, A),
    "an unknown role": turns(U | {"role": "narrator"}, A),
    "a role of 100,000 letters": turns(U | {"role": "u" * 100_000}, A),
    "a role of control codes": turns(U | {"role": "\x1b[2J\x07"}, A),
    "no content": turns({"role": "user"}, A),
    "content of a list of numbers": turns(U | {"content": [1, 2]}, A),
    "content of an object": turns(U | {"content": {"text": {"text": 1}}}, A),
    "content of parts without text": turns(U | {"content": [{"type": "image_url", "image_url": "x"}]}, A),
    "an empty user turn": turns(U | {"content": ""}, A),
    "a blank user turn": turns(U | {"content": " \n\t"}, A),
    "no user turn": turns(A),
    "no assistant turn": turns(U),
    "the answer before the question": turns(A, U),
    "nothing to train": turns(U, A | {"weight": 0}),
    "ShareGPT of unknown speakers": row(messages=None, conversations=[{"from": "x", "value": "y"}]),
    "a prompt of a list of numbers": b'{"prompt": [1], "completion": [2]}',
    "an output of a list": b'{"instruction": "a", "output": [[]]}',
    "messages as broken JSON text": row(messages="[{'role':"),
    "a line of 2 MB": row(x="x" * (2 << 20)),
    "40,000 fields of no shape": json.dumps(dict.fromkeys(map(str, range(40_000)))).encode(),
}  # fmt: skip
"""A line that is no row, between two that are."""

KEPT: dict[str, bytes] = {
    "an instruction of a number": b'{"instruction": 1, "output": 2}',
    "content of a number": turns(U | {"content": 5}, A),
    "a weight of text": turns(U, A | {"weight": "heavy"}),
    "1e400": row(x=1).replace(b"1}", b"1e400}"),
    "NaN in a field": row(x=float("nan")),
    "NUL in a text": turns(U | {"content": "a\x00b"}, A),
    "control codes in a text": turns(U, A | {"content": "\x1b[2J\x1b]0;title\x07"}),
    "a path as id": row(id="../../../../etc/passwd"),
    "an absolute path as id and source": row(id="/etc/passwd", source="/etc/passwd"),
    "markup as id and source": row(id="<script>alert(1)</script>", source="a $x^$ b [bold]"),
    "an expression": turns(U | {"content": "${oc.env:HOME} {{7*7}} %s ???"}, A),
    "a key twice": b'{"id": "a", ' + row()[1:],
    "an odd key": row(**{"": 1, "__class__": 2, "\u2028": 3}),
    "an id of 100,000 letters": row(id="x" * 100_000),
    "1,000 turns": turns(*[U, A] * 500),
    "line ends of Unicode": turns(U | {"content": "a\u2028b\u0085c\x0cd"}, A),
    "100,000 values, and brackets in texts": row(x=[0] * 100_000, y='[{,\\"' * 50_000),
    "50 lists deep": row(x=json.loads("[" * 50 + "]" * 50)),
}
"""A line that is odd and a row all the same."""


def packed_zst(data: bytes) -> bytes:
    return pa.Codec("zstd").compress(data, asbytes=True)


def table(write: Any) -> bytes:
    out = io.BytesIO()
    write(pa.Table.from_pylist([{"question": "a", "answer": "b"}] * 50), out)
    return out.getvalue()


def arrow(rows: pa.Table, out: io.BytesIO) -> None:
    with pa.ipc.new_file(out, rows.schema) as writer:
        writer.write_table(rows)


def twice(write: Any) -> bytes:
    columns = [pa.array([text] * 3) for text in ("a", "b", "c")]
    out = io.BytesIO()
    write(pa.Table.from_arrays(columns, names=["question", "question", "answer"]), out)
    return out.getvalue()


def packed_in(kind: Any) -> bytes:
    out = io.BytesIO()
    if kind is zipfile:
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("../../evil.jsonl", row())
    else:
        with tarfile.open(fileobj=out, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("../../evil.jsonl"), io.BytesIO())
    return out.getvalue()


class Evil:
    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit('code of a pool was run')",))


TEXT = b"\n".join([*GOOD, b""]) * 200
PARQUET, ARROW = table(pq.write_table), table(arrow)
FILES: dict[str, tuple[str, bytes]] = {
    "empty": ("p.jsonl", b""),
    "a mark alone": ("p.jsonl", b"\xef\xbb\xbf"),
    "blank lines": ("p.jsonl", b"\n \n" * 100),
    "200,000 blank lines": ("p.jsonl", b"\n" * 200_000 + GOOD[0]),
    "UTF-16 cut": ("p.jsonl", TEXT.decode().encode("utf-16")[:-1]),
    "UTF-32 with a value that is none": ("p.jsonl", GOOD[0].decode().encode("utf-32") + b"\xff" * 4),
    "gzip cut": ("p.jsonl.gz", gzip.compress(TEXT)[:-9]),
    "gzip broken": ("p.jsonl.gz", gzip.compress(TEXT)[:12] + b"\xff" * 40),
    "gzip with another checksum": ("p.jsonl.gz", gzip.compress(TEXT)[:-8] + b"\x00" * 8),
    "gzip and more": ("p.jsonl.gz", gzip.compress(TEXT) + b"more"),
    "zstd cut": ("p.jsonl.zst", packed_zst(TEXT)[:-9]),
    "zstd broken": ("p.jsonl.zst", packed_zst(TEXT)[:8] + b"\xff" * 20),
    "xz cut": ("p.jsonl.xz", lzma.compress(TEXT)[:-9]),
    "bzip2 broken": ("p.jsonl.bz2", bz2.compress(TEXT)[:20] + b"\xff" * 20),
    "Parquet cut": ("p.parquet", PARQUET[:-30]),
    "Parquet's first bytes": ("p.parquet", b"PAR1"),
    "Parquet with a broken footer": ("p.parquet", PARQUET[:-60] + b"\xff" * 40 + PARQUET[-20:]),
    "Parquet of a footer longer than it": ("p.parquet", b"PAR1" + b"\xff" * 4 + b"PAR1"),
    "Arrow cut": ("p.arrow", ARROW[:-40]),
    "Arrow's first bytes": ("p.arrow", b"ARROW1\x00\x00"),
    "Arrow of a schema longer than it": ("p.arrow", b"\xff\xff\xff\xff\xff\xff\xff\x7f" + b"\x00" * 40),
    "Parquet with a column twice": ("p.parquet", twice(pq.write_table)),
    "Arrow with a column twice": ("p.arrow", twice(arrow)),
    "a text that is called Parquet": ("p.parquet", TEXT),
    "CSV without a row": ("p.csv", b"question,answer\n"),
    "CSV of no header that is known": ("p.csv", b"x,y\n1,2\n"),
    "CSV with a column twice": ("p.csv", b"question,question,answer\na,b,c\n"),
    "CSV with a quote that never ends": ("p.csv", b'question,answer\n"a,b\n' + b"c,d\n" * 600_000),
    "CSV of Latin-1": ("p.csv", "question,answer\nfür,ja\n".encode("latin-1")),
    "CSV of a line of 2 MB": ("p.csv", b"question,answer\n" + b"a" * (2 << 20)),
    "CSV of 200,000 blank lines": ("p.csv", b"question,answer\n" + b"\n" * 200_000 + b"a,b\n"),
    "CSV of 200,000 lines of commas": ("p.csv", b"question,answer\n" + b",,\n" * 200_000 + b"a,b\n"),
    "CSV of a blank header": ("p.csv", b"\n" * 200_000),
    "CSV of 2 million columns": ("p.csv", b",".join([b""] * 2_000_000)),
    "CSV of NUL": ("p.csv", b"\x00" * 100),
    "a list that is cut": ("p.json", b"[" + GOOD[0] + b"," + GOOD[1][:-4]),
    "a list of nothing": ("p.json", b"[]"),
    "a list of numbers": ("p.json", b"[1, 2, 3]"),
    "a list without commas": ("p.json", b"[" + GOOD[0] + b"\n" + GOOD[1] + b"]"),
    "100,000 lists": ("p.json", b"[" * 100_000),
    "a list of 3 million values in a row": ("p.json", b"[{\"x\": [" + b"[]," * 3_000_000 + b"1]}]"),
    "a list after 8 MB of blanks": ("p.json.gz", gzip.compress(b"[" + b" " * (8 << 20) + b"1]")),
    "an object that holds no list": ("p.json", b'{"data":\n {"rows": 1}\n}'),
    "an object cut before its list": ("p.json", b'{\n "version": 1,\n'),
    "a zip archive that climbs out": ("p.jsonl", packed_in(zipfile)),
    "a tar archive": ("p.jsonl.tar", packed_in(tarfile)),
    "Excel": ("p.xlsx", packed_in(zipfile)),
    "PDF": ("p.jsonl", b"%PDF-1.7\n"),
    "SQLite": ("p.jsonl", b"SQLite format 3\x00" + b"\x00" * 90),
    "a program": ("p", b"\x7fELF\x02\x01\x01" + b"\x00" * 90),
    "a pickle of code": ("p.jsonl", pickle.dumps(Evil())),
    "a pickle of code, its name": ("p.pkl", pickle.dumps(Evil())),
    "a web page": ("p.jsonl", b"<!DOCTYPE html><html><script>alert(1)</script></html>"),
    "YAML": ("p.yaml", b"!!python/object/apply:os.system ['touch evil']\n"),
    "a note of Git LFS": ("p.jsonl", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"),
    "8 MB of blanks in 8 KB": ("p.jsonl.gz", gzip.compress(b" " * (8 << 20))),
}  # fmt: skip
"""A file of which nothing is read."""


DATES = pa.array([0, 2**31 - 1, 0], pa.date32())
COLUMNS: dict[str, pa.Array] = {
    "a date of the year 5,881,580": DATES,
    "such a date in a list": pa.ListArray.from_arrays([0, 1, 2, 3], DATES),
    "bytes that are no UTF-8": pa.array([b"a", b"\xff", b"b"]).view(pa.string()),
    "a text of 2 MB": pa.array(["", "x" * (2 << 20), ""]),
    "2 MB of texts": pa.array([[], [{"a": "x" * (1 << 19)}] * 4, []]),
    "a dictionary's text of 2 MB": pa.array(["", "x" * (2 << 20), ""]).dictionary_encode(),
    "a map to a text of 2 MB": pa.array(
        [[], [("a", "x" * (2 << 20))], []], pa.map_(pa.string(), pa.string())
    ),
    "2 million numbers": pa.array([[], [0] * 2_000_000, []], pa.list_(pa.int8())),
    "2 million nulls": pa.array([[], [None] * 2_000_000, []], pa.large_list(pa.null())),
}
"""A column of a table, of three rows of which the second is none."""
OF_ARROW: dict[str, pa.Array] = {
    "a text of 2 MB, viewed": pa.array(["", "x" * (2 << 20), ""], pa.string_view()),
    "a list of 2 million, viewed": pa.array([[], [0] * 2_000_000, []], pa.list_view(pa.int8())),
}


def refusal(path: Path, bad_rows: BadRows) -> str:
    with pytest.raises(UserError) as refused:
        read_pool(path, bad_rows)
    (line,) = refused.value.lines
    assert "\n" not in line
    assert line.isprintable()
    assert len(line) < 1000
    return line


@pytest.mark.parametrize("kind", LINES)
def test_a_damaged_line_is_left_out_or_named(tmp_path, kind):
    path = tmp_path / "p.jsonl"
    path.write_bytes(b"\n".join([GOOD[0], LINES[kind], GOOD[1]]))
    assert read_pool(path) == 2
    assert f"{path}, row 2" in refusal(path, BadRows.fail)


@pytest.mark.parametrize("kind", KEPT)
def test_an_odd_line_is_a_row(tmp_path, kind):
    path = tmp_path / "p.jsonl"
    path.write_bytes(b"\n".join([GOOD[0], KEPT[kind], GOOD[1]]))
    assert read_pool(path, BadRows.fail) == 3


@pytest.mark.parametrize("kind", FILES)
def test_a_damaged_file_is_refused_by_name(tmp_path, kind):
    name, content = FILES[kind]
    path = tmp_path / name
    path.write_bytes(content)
    for bad_rows in BadRows:
        assert name in refusal(path, bad_rows) or "the pool p has no usable row" in refusal(path, bad_rows)
    assert list(tmp_path.iterdir()) == [path]


def write_table(path: Path, column: pa.Array) -> Path:
    rows = pa.Table.from_pydict({"question": ["a"] * 3, "answer": ["b"] * 3, "x": column})
    if path.suffix == ".parquet":
        pq.write_table(rows, path)
    else:
        with path.open("wb") as out:
            arrow(rows, out)
    return path


@pytest.mark.parametrize(
    ("name", "column"),
    [
        *((f"p.{kind}", column) for kind in ("parquet", "arrow") for column in COLUMNS),
        *(("p.arrow", column) for column in OF_ARROW),
    ],
)
def test_a_tables_damaged_row_is_left_out_or_named(tmp_path, name, column):
    path = write_table(tmp_path / name, (COLUMNS | OF_ARROW)[column])
    if column == "bytes that are no UTF-8" and name == "p.arrow":
        assert name in refusal(path, BadRows.drop)  # what Arrow itself takes for damage
        return
    assert read_pool(path) == 2
    assert f"{path}, row 2" in refusal(path, BadRows.fail)


@pytest.mark.parametrize("name", ["p.parquet", "p.arrow"])
def test_an_unknown_time_zone_is_a_bad_row(tmp_path, name):
    path = write_table(tmp_path / name, pa.array([5] * 3, pa.timestamp("s", tz="No/Where")))
    assert "holds a value that cannot be read" in refusal(path, BadRows.drop)


@pytest.mark.parametrize("name", ["p.parquet", "p.arrow"])
def test_a_text_that_many_rows_name_is_held_once_at_a_time(tmp_path, name):
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), pa.array(["x" * (4 << 20)]))
    columns = {"question": ["a"] * 1000, "answer": ["b"] * 1000, "x": column}
    rows, path = pa.Table.from_pydict(columns), tmp_path / name
    with path.open("wb") as out:
        pq.write_table(rows, out, store_schema=False) if name == "p.parquet" else arrow(rows, out)
    before = pa.default_memory_pool().max_memory()
    assert "1,000 too long" in refusal(path, BadRows.drop)
    assert sum(1 for _ in zip(read_file(path), range(20), strict=False)) == 20
    assert pa.default_memory_pool().max_memory() < max(before, 256 << 20)


def test_bytes_of_a_fixed_length_are_read_a_few_rows_at_a_time(tmp_path):
    one = pa.array([b"x" * (4 << 20)], pa.binary(4 << 20))
    column = pa.chunked_array([one] * 60)
    rows = pa.Table.from_pydict({"question": ["a"] * 60, "answer": ["b"] * 60, "x": column})
    pq.write_table(rows, tmp_path / "p.parquet", compression="zstd")
    del rows, column
    before, most = pa.total_allocated_bytes(), 0
    for _, row in read_file(tmp_path / "p.parquet", 1 << 20):
        assert "too long" in row.message
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 200 << 20


def test_a_message_names_a_few_of_many_columns(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("\n".join([",".join(map(str, range(40_000))), ",".join("a" * 40_000)]))
    assert "its fields: 0, 1, 10, 100" in refusal(path, BadRows.fail)


def test_too_many_values_are_told_from_brackets_in_texts():
    most = bounds.MOST_VALUES
    for wrap in (str, str.encode):
        assert bounds.too_many_values(wrap('{"x": [' + "0," * (most + 1) + "0]}"))
        assert not bounds.too_many_values(wrap('{"x": "' + "0," * (most + 1) + '\\""}'))
        assert not bounds.too_many_values(wrap('["x"] ' + "0," * (most + 1)))
        assert not bounds.too_many_values(wrap('["' + r"\"" * (most + 1)))
        assert not bounds.too_many_values(wrap('"' + "[" * (most + 1)))


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(TARGETS["pool"].seeds), st.randoms(use_true_random=False))
def test_no_change_of_a_pool_is_more_than_a_line(tmp_path_factory, seed, rng):
    TARGETS["pool"].read(changed(seed, TARGETS["pool"].words, rng), tmp_path_factory.getbasetemp())
