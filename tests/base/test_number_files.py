"""Files of scores that people bring: read, or refused in one line, whatever their bytes are."""

from __future__ import annotations

import os
import pickle
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from ds2.base import number_files
from ds2.base.errors import UserError
from ds2.base.number_files import read_score_file, write_array, write_rows

SCORES = [0.0, 3.0, 5.0] * 20


class Code:
    def __reduce__(self):
        return os.mkdir, ("ran-code",)


def npy_header(shape: str) -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({shape},), }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()


def saved(path: Path) -> bytes:
    if path.suffix == ".pt":
        torch = pytest.importorskip("torch")
        torch.save(torch.tensor(SCORES), path)
    elif path.suffix == ".npz":
        np.savez(path, scores=SCORES)
    else:
        np.save(path, SCORES)
    return path.read_bytes()


@pytest.mark.parametrize("ending", [".pt", ".npz", ".npy"])
@pytest.mark.parametrize("content", [b"", b"hello" * 100, b"PK\x03\x04hello", pickle.dumps(Code())])
def test_what_is_no_file_of_numbers_is_refused_by_name_and_runs_nothing(
    tmp_path, monkeypatch, ending, content
):
    if ending == ".pt":
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"scores{ending}"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"scores{ending} is not a (plain|whole)") as refusal:
        read_score_file(path)
    assert "weights_only" not in str(refusal.value)
    assert "allow_pickle" not in str(refusal.value)
    assert not Path("ran-code").exists()


@pytest.mark.parametrize("ending", [".pt", ".npz", ".npy"])
def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path, ending):
    path = tmp_path / f"scores{ending}"
    content = saved(path)
    for at in range(1, len(content), max(1, len(content) // 25)):
        path.write_bytes(content[:at])
        with pytest.raises(UserError, match=path.name):
            read_score_file(path)


@pytest.mark.parametrize("ending", [".pt", ".npz"])
def test_a_flipped_byte_never_changes_a_score(tmp_path, ending):
    path = tmp_path / f"scores{ending}"
    content = saved(path)
    refused = 0
    for at in range(0, len(content), max(1, len(content) // 60)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
        try:
            assert read_score_file(path).tolist() == SCORES
        except UserError:
            refused += 1
    assert refused > 10


def test_a_header_that_promises_more_than_there_is_asks_for_no_memory(tmp_path):
    path = tmp_path / "scores.npy"
    path.write_bytes(npy_header("100_000_000_000".replace("_", "")))
    with pytest.raises(UserError, match=r"scores\.npy is not a whole"):
        read_score_file(path)


COUNT = 30_000_000
BOMBS = {
    "npz": lambda path: np.savez_compressed(path, a=np.zeros(COUNT, np.int8)),
    "npy": lambda path: np.save(path, np.zeros(COUNT, np.int8)),
    "expanded.pt": lambda path: torch_save(path, lambda torch: torch.ones(1).expand(COUNT)),
    "sparse.pt": lambda path: torch_save(
        path, lambda torch: torch.sparse_coo_tensor([[COUNT]], [1.0], (COUNT + 1,))
    ),
    "meta.pt": lambda path: torch_save(path, lambda torch: torch.empty(COUNT, device="meta")),
}


def torch_save(path, make):
    torch = pytest.importorskip("torch")
    torch.save(make(torch), path)


@pytest.mark.parametrize("kind", BOMBS)
def test_a_small_file_of_very_many_numbers_is_refused_before_it_is_unpacked(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(number_files, "MOST_NUMBERS", 1_000_000)
    path = tmp_path / f"scores.{kind.rpartition('.')[2]}"
    BOMBS[kind](path)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"scores\.\w+ holds more than 1,000,000 numbers"):
            read_score_file(path)
        assert tracemalloc.get_traced_memory()[1] < COUNT / 4
    finally:
        tracemalloc.stop()


def test_a_header_of_brackets_and_a_tensor_without_numbers_are_one_line(tmp_path):
    torch = pytest.importorskip("torch")
    deep = tmp_path / "deep.npy"
    deep.write_bytes(b"\x93NUMPY\x02\x00" + (9000).to_bytes(4, "little") + b"(" * 8999 + b"\n")
    with pytest.raises(UserError, match=r"deep\.npy is not a whole \.npy file of numbers"):
        read_score_file(deep)
    torch.save(torch.empty(5, device="meta"), tmp_path / "meta.pt")
    with pytest.raises(UserError, match=r"meta\.pt is not a plain list or tensor of scores"):
        read_score_file(tmp_path / "meta.pt")


def test_a_bare_pickle_is_refused_without_torch_s_advice(tmp_path, recwarn):
    (tmp_path / "s.pt").write_bytes(pickle.dumps([1.0, 2.0]))
    with pytest.raises(UserError):
        read_score_file(tmp_path / "s.pt")
    assert not recwarn.list


def test_objects_text_and_complex_numbers_are_no_scores(tmp_path):
    for name, values in {"o": [{}, 1], "t": ["a"], "c": [1j], "s": [[1, 2]]}.items():
        np.save(tmp_path / f"{name}.npy", np.array(values, dtype=object if name == "o" else None))
        with pytest.raises(UserError, match=rf"{name}\.npy"):
            read_score_file(tmp_path / f"{name}.npy")


def test_half_precision_of_torch_is_read(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(torch.tensor(SCORES, dtype=torch.bfloat16), tmp_path / "s.pt")
    assert read_score_file(tmp_path / "s.pt").tolist() == SCORES


@pytest.mark.parametrize("shape", [(0, 3), (7,), (40, 3)])
def test_an_array_is_read_as_it_was_written(tmp_path, shape):
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    for name, one in {"c": array, "f": np.asfortranarray(array), "part": array[::2]}.items():
        write_array(tmp_path / f"{name}.npy", one)
        read = np.load(tmp_path / f"{name}.npy")
        assert read.dtype == one.dtype
        np.testing.assert_array_equal(read, one)


@pytest.mark.parametrize("size", [1, 3, 7, 50])
def test_rows_written_in_blocks_are_the_file_of_the_whole_array(tmp_path, size):
    array = np.arange(21, dtype=np.float32).reshape(7, 3)
    blocks = [array[at : at + size] for at in range(0, 7, size)]
    assert write_rows(tmp_path / "blocks.npy", 7, iter(blocks)) == (7, 3)
    write_array(tmp_path / "whole.npy", array)
    assert (tmp_path / "blocks.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_rows_that_are_not_as_promised_are_no_file_without_an_error(tmp_path):
    three = np.zeros((3, 2), dtype=np.float32)
    for count, blocks in (
        (4, [three]),
        (5, [three, three]),
        (6, [three, three[:, :1]]),
        (6, [three, three.astype(np.float64)]),
    ):
        with pytest.raises(ValueError, match="rows came|unlike the first"):
            write_rows(tmp_path / "a.npy", count, blocks)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("numbers", [1, 3000])
def test_a_full_disk_is_an_error_wherever_in_the_array_it_is_met(numbers):
    with pytest.raises(OSError, match="No space left"):
        write_array(Path("/dev/full"), np.zeros(numbers))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_an_error_whichever_block_meets_it():
    with pytest.raises(OSError, match="No space left"):
        write_rows(Path("/dev/full"), 6, [np.zeros((3, 2)), np.zeros((3, 2))])
