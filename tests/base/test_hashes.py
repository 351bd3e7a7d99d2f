"""What a file's hash is remembered by."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ds2.base.errors import MissingInput
from ds2.base.hashes import ContentHashes, file_sha256


def test_content_is_remembered_by_its_stamp(tmp_path, monkeypatch):
    model = tmp_path / "model"
    (model / "sub").mkdir(parents=True)
    (model / "a.bin").write_text("a")
    (model / "sub" / "b.bin").write_text("b")
    first = ContentHashes(tmp_path / "memory.json").of(model)
    with monkeypatch.context() as patch:
        patch.setattr("ds2.base.hashes.file_sha256", lambda path: pytest.fail("hashed again"))
        assert ContentHashes(tmp_path / "memory.json").of(model) == first
    (model / "a.bin").write_text("changed")
    assert ContentHashes(tmp_path / "memory.json").of(model) != first
    for odd in ("{half", "[" * 100_000, json.dumps({str(model / "a.bin"): [1, "2", 3, 4, []]})):
        (tmp_path / "memory.json").write_text(odd)
        assert ContentHashes(tmp_path / "memory.json").of(model) != first
    (tmp_path / "memory.json").unlink()
    os.mkfifo(tmp_path / "memory.json")
    (model / "a.bin").write_text("a")
    assert ContentHashes(tmp_path / "memory.json").of(model) == first
    moved = model.rename(Path(tmp_path / "moved"))
    assert ContentHashes(tmp_path / "memory.json").of(moved) == first
    with pytest.raises(MissingInput, match="no such file or folder"):
        ContentHashes(tmp_path / "memory.json").of(model)


def test_an_edit_that_keeps_size_and_time_is_seen(tmp_path):
    pool = tmp_path / "pool.jsonl"
    pool.write_text("score 1")
    before = pool.stat()
    first = ContentHashes(tmp_path / "memory.json").of(pool)
    pool.write_text("score 5")
    os.utime(pool, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert pool.stat().st_mtime_ns == before.st_mtime_ns
    assert ContentHashes(tmp_path / "memory.json").of(pool) != first


def test_without_trust_each_file_is_hashed_once_a_process(tmp_path, monkeypatch):
    pool = tmp_path / "pool.jsonl"
    pool.write_text("a")
    ContentHashes(tmp_path / "memory.json").of(pool)
    asked = []
    monkeypatch.setattr("ds2.base.hashes.file_sha256", lambda path: asked.append(path.name) or "0" * 64)
    hashes = ContentHashes(tmp_path / "memory.json", trust=False)
    assert hashes.of(pool) == hashes.of(pool) == "0" * 16
    assert asked == ["pool.jsonl"]


@pytest.mark.parametrize(
    "kept", ["[]", "null", '{"PATH": 5}', '{"PATH": [1, 2, "x"]}', "[" * 100_000, '{"PATH": ' + "[" * 5_000]
)
def test_a_memory_of_another_shape_costs_time_only(tmp_path, kept):
    pool = tmp_path / "pool.jsonl"
    pool.write_text("a")
    memory = tmp_path / "memory.json"
    memory.write_text(kept.replace("PATH", str(pool)))
    assert ContentHashes(memory).of(pool) == ContentHashes(tmp_path / "other.json").of(pool)


def test_bytes_are_counted_while_a_file_is_hashed_and_not_where_its_hash_is_remembered(tmp_path):
    path, read = tmp_path / "large.bin", []
    path.write_bytes(b"ds2" * 3_000_000)
    hashes = ContentHashes(tmp_path / "memory.json")
    assert hashes.file(path, read.append) == file_sha256(path)
    assert len(read) > 1
    assert sum(read) == 9_000_000
    assert hashes.file(path, read.append) == file_sha256(path)
    assert sum(read) == 9_000_000
