"""One set of rows in every kind of file, told apart by content; broken files refused by row."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from helpers.row_shapes import A, U

from ds2.base.errors import UserError
from ds2.pool import json_rows
from ds2.pool.errors import Unreadable
from ds2.pool.reading import read_file

ROWS: list[dict[str, Any]] = [
    {"id": "a", "messages": [U, A], "score": 4},
    {"id": "b", "messages": [U, A | {"content": "zwei\nZeilen, „quer“ 日本 🌳\u2028"}], "score": 3},
    {"id": "c", "messages": [U, A], "score": 5},
]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def rows(path: Path, **options: Any) -> list[Any]:
    return [row for _, row in read_file(path, **options)]


def zstd(data: bytes) -> bytes:
    import pyarrow as pa

    packed: bytes = pa.compress(data, codec="zstd", asbytes=True)
    return packed


CONTENT = {
    "lines": LINES.encode(),
    "lines, no last line feed": LINES.rstrip().encode(),
    "CRLF": LINES.replace("\n", "\r\n").encode(),
    "blank lines": ("\n" + LINES.replace("\n", "\n \n")).encode(),
    "BOM": b"\xef\xbb\xbf" + LINES.encode(),
    "UTF-16": LINES.encode("utf-16"),
    "UTF-16 without a mark": LINES.encode("utf-16-le"),
    "UTF-32": LINES.encode("utf-32"),
    "list": json.dumps(ROWS).encode(),
    "indented list": json.dumps(ROWS, indent=2).encode(),
    "list with BOM": b"\xef\xbb\xbf" + json.dumps(ROWS).encode(),
    "list in UTF-16": json.dumps(ROWS).encode("utf-16"),
    "object": json.dumps({"version": [1], "data": ROWS, "more": 1}).encode(),
    "indented object": json.dumps({"data": ROWS}, indent=1).encode(),
    "LMFlow": json.dumps({"type": "conversation", "instances": ROWS}).encode(),
    "gzip": gzip.compress(LINES.encode()),
    "xz": lzma.compress(LINES.encode()),
    "bzip2": bz2.compress(LINES.encode()),
    "zstd": zstd(LINES.encode()),
    "zstd in two frames": zstd(LINES[:40].encode()) + zstd(LINES[40:].encode()),
    "packed list": gzip.compress(json.dumps(ROWS).encode()),
}


@pytest.mark.parametrize("kind", CONTENT)
@pytest.mark.parametrize("name", ["p.jsonl", "p.json", "数据 (1), a=b [x].NDJSON"])
def test_the_same_rows_whatever_the_name_says(tmp_path, kind, name):
    path = tmp_path / name
    path.write_bytes(CONTENT[kind])
    assert rows(path) == ROWS


def test_tables_hold_the_same_rows(tmp_path):
    import pyarrow as pa
    import pyarrow.feather as feather
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(ROWS)
    pq.write_table(table, tmp_path / "p.parquet")
    feather.write_feather(table, tmp_path / "p.arrow")
    with pa.ipc.new_stream(tmp_path / "s.arrow", table.schema) as stream:
        stream.write_table(table)
    for name in ("p.parquet", "p.arrow", "s.arrow"):
        assert rows(tmp_path / name) == ROWS
        assert [place.number for place, _ in read_file(tmp_path / name)] == [1, 2, 3]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv_and_tsv_have_null_for_an_empty_cell(tmp_path, delimiter, encoding):
    text = 'id,question,answer,score\n1,"what, ""now""?\nsecond",ja 日本,4\n\n2,q,,\n'
    name = "p.tsv" if delimiter == "\t" else "p.csv"
    (tmp_path / name).write_bytes(_delimited(text, delimiter).encode(encoding))
    assert [(place.number, row) for place, row in read_file(tmp_path / name)] == [
        (2, {"id": "1", "question": f'what{delimiter} "now"?\nsecond', "answer": "ja 日本", "score": "4"}),
        (5, {"id": "2", "question": "q", "answer": None, "score": None}),
    ]


def _delimited(text: str, delimiter: str) -> str:
    return text.replace(",", delimiter)


def test_a_bad_table_is_refused_and_a_short_row_is_a_bad_row(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("a,b\n1,2\n1,2,3\n4,5\n")
    assert rows(path)[1] == Unreadable("has 3 cells (the header 2)")
    path.write_text("a,a\n1,2\n")
    with pytest.raises(UserError, match="header has the column 'a' twice"):
        rows(path)
    path.write_text('a,b\n1,2\n3,"never\n' + "x,y\n" * 50)
    with pytest.raises(UserError, match=r"row 3: not CSV .*a quote may lack its end"):
        rows(path, max_bytes=100)
    path.write_bytes(b"a,b\n1,\xff\n")
    with pytest.raises(UserError, match="is not utf-8"):
        rows(path)


BAD_LINES = {
    b"{oops}": "not JSON (Expecting property name",
    b'{"a": "\xff"}': "not UTF-8 (byte 7 of the line)",
    b'{"a": ' + b"9" * 5000 + b"}": "not JSON (a whole number of too many digits)",
    b"[" * 100_000: "not JSON (nested too deeply)",
    b'{"a": 1} {"b": 2}': "not JSON (Extra data",
    b"\0\0\0": "not JSON (Expecting value",
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_line_that_is_no_json_is_named_and_the_others_are_read(tmp_path, line):
    path = tmp_path / "p.jsonl"
    path.write_bytes(LINES.encode() + line + b"\n" + LINES.encode())
    read = list(read_file(path))
    assert [row for _, row in read if not isinstance(row, Unreadable)] == ROWS * 2
    assert read[3][0].number == 4
    assert read[3][1].message.startswith(BAD_LINES[line])


def test_a_cut_last_line_is_said_to_be_one(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text(LINES + '{"id": "d", "mess', encoding="utf-8")
    *_, (place, row) = read_file(path)
    assert place.number == 4
    assert "it is the last line and has no end: the file may be cut" in row.message


def test_a_first_line_that_is_no_json_does_not_make_the_file_another(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"cut": "x\n' + LINES, encoding="utf-8")
    assert rows(path)[1:] == ROWS


def test_a_line_longer_than_allowed_is_a_bad_row(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text('{"a": 1}\n{"a": "' + "x" * 5_000_000 + '"}\n{"a": 2}\n')
    first, long, last = rows(path, max_bytes=1000)
    assert (first, last) == ({"a": 1}, {"a": 2})
    assert long.message == "too long (5,000,010 bytes; pool.max_row_bytes=1000)"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"a": 1}, {"a": 2}, {"a"', r"row 3: not JSON .*the file is cut"),
        ('[{"a": 1}, {"a": 2}', r"row 3: not JSON: the file is cut|row 2: not JSON"),
        ('[{"a": 1}, {"a": 2,}]', r"row 2: not JSON \("),
        ('[{"a": 1} {"a": 2}]', r"row 2: not JSON \(',' is missing\)"),
        ('{"a": {"b": 1},\n "c": 2}', "holds neither a list of rows nor an object with a list under `data`"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_broken_list_is_refused_by_row(tmp_path, content, message):
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(UserError, match=message):
        rows(tmp_path / "p.json")


def test_a_list_is_read_as_a_stream_of_blocks(tmp_path):
    many = [{"id": i, "text": "日本" * (i % 50_000)} for i in range(0, 400_000, 7_777)]
    (tmp_path / "p.json").write_text(json.dumps(many, ensure_ascii=False), encoding="utf-8")
    assert rows(tmp_path / "p.json") == many


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress, zstd])
def test_a_packed_file_that_is_cut_is_refused(tmp_path, pack):
    import random

    noise = "".join(random.Random(0).choices("abcdefgh", k=5000))
    packed = pack((LINES + json.dumps({"x": noise})).encode())
    (tmp_path / "p.jsonl").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(UserError, match="is not a whole (gzip|xz|bzip2|zstd) file"):
        rows(tmp_path / "p.jsonl")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.txt", b"Hello", "holds no rows that DS2 reads.*it begins with 'Hello'"),
        ("p.jsonl", b"PK\x03\x04abcdef", "is a zip archive: unpack it"),
        ("p.parquet", b"PAR1 and nothing", "is not a Parquet file, or cut"),
        ("p.parquet", b"<html>", "is not the file that its name says"),
        ("p.arrow", b"ARROW1\0\0", "is not an Arrow file, or cut"),
    ],
)
def test_what_holds_no_rows_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        rows(tmp_path / name)


def test_an_empty_file_has_no_rows(tmp_path):
    for name in ("p.jsonl", "p.json", "p.csv"):
        (tmp_path / name).write_bytes(b"")
        assert rows(tmp_path / name) == []


def packed_zeros(path: Path, megabytes: int, start: bytes = b"", piece: bytes = b"0") -> Path:
    with gzip.open(path, "wb", 1) as out:
        out.write(start)
        for _ in range(megabytes):
            out.write(piece * (1 << 20))
    return path


@pytest.mark.parametrize(
    ("name", "start", "message"),
    [
        ("bomb.csv.gz", b"question,answer\n", "a line that is too long"),
        ("header.csv.gz", b"", "a line that is too long"),
        ("bomb.json.gz", b'["', "not JSON"),
        ("blank.jsonl.gz", b"", "100,000 blank lines"),
    ],
)
def test_what_unpacks_to_far_more_than_it_is_ends_early(tmp_path, name, start, message):
    """40 MB in 40 KB, rows of at most 4 MB."""
    path = packed_zeros(tmp_path / name, 40, start, b"\n" if "blank" in name else b"0")
    tracemalloc.start()
    with pytest.raises(UserError, match=message):
        rows(path, max_bytes=4 << 20)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert used < 30 << 20


def test_a_bomb_of_one_line_is_one_bad_row(tmp_path):
    (bad,) = rows(packed_zeros(tmp_path / "bomb.jsonl.gz", 20), max_bytes=4 << 20)
    assert bad.message == "too long (20,971,520 bytes; pool.max_row_bytes=4194304)"


LISTS = b'{"x": [' + b"[]," * 600_000 + b"1]}"


def test_a_row_of_too_many_values_is_a_bad_row_and_not_made(tmp_path, monkeypatch):
    (tmp_path / "p.jsonl").write_bytes(b'{"a": 1}\n' + LISTS + b'\n{"a": 2}\n')
    made = []
    monkeypatch.setattr(json_rows, "parse_json_line", lambda line: made.append(line) or json.loads(line))
    first, bad, last = rows(tmp_path / "p.jsonl")
    assert (first, last) == ({"a": 1}, {"a": 2})
    assert bad.message == "holds too many values (more than 1,000,000)"
    assert [len(line) for line in made] == [9, 9]


@pytest.mark.parametrize("before", [0, 400_000, 1_000_000])
def test_a_list_with_a_row_of_too_many_values_is_refused_by_row(tmp_path, before):
    first = json.dumps({"a": "x" * before}).encode()
    (tmp_path / "p.json").write_bytes(b"[" + first + b"," + LISTS + b"]")
    with pytest.raises(UserError, match=r"p\.json, row 2: holds too many values"):
        rows(tmp_path / "p.json")


def test_a_flipped_byte_of_a_parquet_file_is_a_refusal_by_name_or_a_row(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "p.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), path, write_page_checksum=True)
    content, refused = path.read_bytes(), 0
    for at in range(0, len(content), 17):
        path.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
        try:
            rows(path)
        except UserError as error:
            refused += "p.parquet" in str(error)
    assert refused > 20
