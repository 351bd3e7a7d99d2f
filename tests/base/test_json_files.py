from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from ds2.base import json_files
from ds2.base.errors import MissingInput, UserError
from ds2.base.json_files import read_json, read_json_lines, write_json, write_json_lines

SEPARATORS = "a\u2028b\u2029c\u0085d\x0ce\x0bf\x1cg\rh"


def test_what_was_written_is_read_back_whatever_separators_a_text_holds(tmp_path: Path) -> None:
    rows = [{"text": SEPARATORS}, {"text": "日本 🌳\n"}, {"n": 1.5, "none": None}]
    write_json_lines(tmp_path / "rows.jsonl", rows)
    assert list(read_json_lines(tmp_path / "rows.jsonl")) == [(1, rows[0]), (2, rows[1]), (3, rows[2])]


def test_unescaped_separators_end_no_line(tmp_path: Path) -> None:
    text = SEPARATORS.translate(dict.fromkeys(range(32)))  # JSON escapes those below 32
    (tmp_path / "rows.jsonl").write_text(f'{{"text": "{text}"}}\r\n\n{{"text": "b"}}', encoding="utf-8")
    assert list(read_json_lines(tmp_path / "rows.jsonl")) == [(1, {"text": text}), (3, {"text": "b"})]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_never_written(tmp_path: Path, number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json_lines(tmp_path / "rows.jsonl", [{"n": number}])
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "value.json", {"n": number})


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\n')
    assert list(read_json_lines(tmp_path / "rows.jsonl")) == [(1, {"a": 1})]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n{"a" 1}\n', r"line 2: not JSON \(Expecting ':' delimiter at column 6\)"),
        (b'{"a": "\xff"}\n', r"line 1: not UTF-8 \(byte 7 of the line\)"),
    ],
)
def test_a_line_that_is_no_json_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "rows.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(read_json_lines(tmp_path / "rows.jsonl"))


def test_packed_files_are_read_and_half_of_one_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(b'{"a": 1}\n' * 1000)
    (tmp_path / "rows.jsonl.gz").write_bytes(packed)
    assert len(list(read_json_lines(tmp_path / "rows.jsonl.gz"))) == 1000
    (tmp_path / "rows.jsonl.gz").write_bytes(packed[:-12])
    with pytest.raises(UserError, match="not a whole gzip file"):
        list(read_json_lines(tmp_path / "rows.jsonl.gz"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"none\.jsonl: no such file"):
        list(read_json_lines(tmp_path / "none.jsonl"))


@pytest.mark.parametrize("text", ["[" * 10**5, '{"a":' * 300 + "1" + "}" * 300, "", "{", "\ufeff{}", "\x00"])
def test_what_is_no_json_or_too_deep_is_a_value_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="deeply|Expecting|BOM"):
        read_json(tmp_path / "x.json")


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    for path in (tmp_path / "pipe.json", Path("/dev/zero")):
        with pytest.raises(ValueError, match="no regular file"):
            read_json(path)
    with pytest.raises(IsADirectoryError):
        read_json(tmp_path)


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_files, "MOST_BYTES", 10)
    (tmp_path / "x.json").write_text("[1,2,3,4,5]")
    with pytest.raises(ValueError, match="larger than 10 bytes"):
        read_json(tmp_path / "x.json")
