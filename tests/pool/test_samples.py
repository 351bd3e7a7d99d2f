"""Samples kept as bytes: in memory, then on disk; the same either way."""

from __future__ import annotations

import datetime
import decimal
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from helpers.full_disk import no_file_beyond
from helpers.row_shapes import READ, A, U, read

from ds2.base.errors import UserError
from ds2.pool import samples as stored
from ds2.pool.messages import Message
from ds2.pool.samples import Place, Sample, StoredSamples


def some(i: int, text: str = "a 🌳\u2028") -> Sample:
    messages = (
        Message("user", f"q{i}"),
        Message("assistant", text, i % 2 == 0, {"name": "n"} if i % 3 else {}),
    )
    return Sample(f"s{i}", 2 * i, "web", messages, {"n": i, "deep": {"x": [1, None]}}, Place("f", i + 1))


@pytest.mark.parametrize("memory", [0, 700, 2**30])
def test_samples_come_back_as_they_were(monkeypatch, memory):
    monkeypatch.setattr(stored, "MEMORY", memory)
    kept, expected = StoredSamples(), [some(i) for i in range(20)]
    for i, sample in enumerate(expected):
        kept.add(sample)
        assert kept[i] == sample  # read in the midst of writing
    assert list(kept) == expected
    assert kept[-1] == expected[-1]
    assert kept[3:7] == expected[3:7]
    assert (kept.ids, kept.rows.tolist()) == ([s.id for s in expected], [s.row for s in expected])
    with pytest.raises(IndexError):
        kept[20]


@pytest.mark.parametrize("count", [10, 500], ids=["at the first read", "while it grows"])
def test_a_temporary_folder_without_room_is_one_line_that_names_it(monkeypatch, tmp_path, count):
    monkeypatch.setattr(stored, "MEMORY", 500)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def fill() -> Sample:
        kept = StoredSamples()
        for i in range(count):
            kept.add(some(i))
        return kept[0]

    full = rf"^cannot write to the temporary folder {tmp_path}, .* File too large; .*TMPDIR"
    with pytest.raises(UserError, match=full), no_file_beyond(0):
        fill()
    assert fill() == some(0)


def test_half_a_character_is_not_kept():
    kept = StoredSamples()
    with pytest.raises(UnicodeEncodeError):
        kept.add(some(0, "cut \ud83d"))
    kept.add(some(1))
    assert list(kept) == [some(1)]


def test_values_that_only_tables_have_become_text():
    row = {
        "messages": [U, A], "day": datetime.date(2026, 1, 2), "at": datetime.datetime(2026, 1, 2, 3, 4),
        "price": decimal.Decimal("1.50"), "took": datetime.timedelta(seconds=90), "bytes": b"abc",
    }  # fmt: skip
    (sample,) = read(row).samples
    assert sample.columns == {
        "day": "2026-01-02", "at": "2026-01-02T03:04:00", "price": "1.50", "took": 90.0,
        "bytes": "<3 bytes left out>",
    }  # fmt: skip


def test_a_sample_is_named_by_id_file_and_row():
    assert some(4).named == "'s4' (f, row 5)"
    assert Sample("a", 4, "s", (), {}).named == "'a' (row 5)"


def test_shapes_survive_the_disk(monkeypatch):
    rows = [row for _, row, _ in READ]
    usual = list(read(*rows).samples)
    monkeypatch.setattr(stored, "MEMORY", 0)
    assert list(read(*rows).samples) == usual


def test_a_pool_larger_than_the_memory_allowed_is_read_in_bounded_memory(tmp_path: Path):
    path = tmp_path / "large.jsonl"
    text = "x" * 20_000
    with path.open("w") as file:
        for i in range(5000):
            file.write(json.dumps({"id": i, "messages": [U, A | {"content": text}]}) + "\n")
    read_it = (
        "import resource, sys\n"
        "from ds2.config import FilesPoolConfig\n"
        "from ds2.pool import PoolSource, samples\n"
        "samples.MEMORY = 2**23\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "pool = PoolSource(FilesPoolConfig(name='', path=sys.argv[1]), num_scores=6).load()\n"
        "print(len(pool), (peak() - before) // 1024)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", read_it, str(path)], capture_output=True, text=True, check=True
    )
    count, grown = map(int, told.stdout.split())
    assert count == 5000
    assert grown < 40  # MiB, of a pool of 100 MB


_LIMITED = """
import resource, sys
from ds2.config import FilesPoolConfig
from ds2.pool import PoolSource, samples

path, memory, room = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
samples.MEMORY = memory
source = PoolSource(FilesPoolConfig(name="", path=path), num_scores=6)
source.fingerprint
held = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (1024 * held + room,) * 2)
pool = source.load()
print(len(pool), sum(len(sample.messages) for sample in pool.samples))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit and /proc are Linux's")
def test_a_packed_file_is_read_under_a_limit_of_memory_that_it_would_not_fit(tmp_path: Path):
    """96 MB packed, 190 MB of samples, 100 MB allowed. Held in memory they pass that, so it is a limit."""
    import pyarrow as pa

    path, count = tmp_path / "large.jsonl.zst", 160_000
    with pa.CompressedOutputStream(str(path), "zstd") as file:
        for i in range(count):
            row = {"id": i, "messages": [U, A | {"content": os.urandom(550).hex()}]}
            file.write(json.dumps(row).encode() + b"\n")
    assert path.stat().st_size > 88 * 1000**2

    def read_with(memory: int) -> subprocess.CompletedProcess[str]:
        told = [sys.executable, "-c", _LIMITED, str(path), str(memory), str(100 * 1000**2)]
        return subprocess.run(told, capture_output=True, text=True, check=False)

    assert read_with(2**22).stdout.split() == [str(count), str(2 * count)]
    unbounded = read_with(2**40)
    assert unbounded.returncode == 1
    assert "MemoryError" in unbounded.stderr
