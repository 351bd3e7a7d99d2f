"""Work in parts that are kept: what is whole is not done again, all else is."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ds2.models import parts
from ds2.models.compute import Meter
from ds2.models.parts import Part, in_parts

ROWS = ["a", "bb", "ccc", "dddd", "e"]
LENGTHS = [1.0, 2.0, 3.0, 4.0, 1.0]


class Lengths:
    """The lengths of texts, in parts of two; `seen`: the texts that were looked at."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seen = folder, list[str]()

    def run(self, rows: Sequence[str] = ROWS, meter: Meter | None = None, fail_at: str = "") -> list[float]:
        self.seen.clear()

        def work(some: Sequence[str]) -> Part:
            if fail_at in some:
                raise KeyboardInterrupt
            self.seen.extend(some)
            values = np.array([float(len(text)) for text in some])
            return Part(values, tokens=10 * len(some), parameters=7, shared_tokens=3)

        done = in_parts(
            rows, lambda: work, self.folder, progress=False, what="test", meter=meter or Meter(),
            origin=",".join,
        )  # fmt: skip
        return np.concatenate(list(done)).tolist()


@pytest.fixture
def lengths(monkeypatch, tmp_path) -> Lengths:
    monkeypatch.setattr(parts, "PART", 2)
    return Lengths(tmp_path / "parts")


def test_finished_parts_are_not_computed_again(lengths):
    with pytest.raises(KeyboardInterrupt):
        lengths.run(fail_at="ccc")
    meter = Meter()
    assert lengths.run(meter=meter) == LENGTHS
    assert lengths.seen == ["ccc", "dddd", "e"]
    # What an earlier run read counts too, and what all parts share once.
    assert (meter.tokens, meter.flops) == (53, 2 * 7 * 53)


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_a_part_that_is_cut_off_is_computed_again(lengths, share):
    lengths.run()
    path = lengths.folder / "000000002.npz"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    meter = Meter()
    assert lengths.run(meter=meter) == LENGTHS
    assert lengths.seen == ["ccc", "dddd"]
    assert meter.tokens == 53
    assert path.stat().st_size == len(content)


def test_a_part_with_one_flipped_bit_is_computed_again(lengths):
    lengths.run()
    path = lengths.folder / "000000002.npz"
    content = bytearray(path.read_bytes())
    content[content.index(np.array([3.0, 4.0]).tobytes())] ^= 1
    path.write_bytes(content)
    assert lengths.run() == LENGTHS
    assert lengths.seen == ["ccc", "dddd"]


def test_a_part_of_other_rows_is_computed_again(lengths):
    lengths.run()
    shutil.copy(lengths.folder / "000000000.npz", lengths.folder / "000000002.npz")
    assert lengths.run() == LENGTHS
    assert lengths.seen == ["ccc", "dddd"]
    assert lengths.run(["a", "bb", "ccc", "ddd", "e"]) == [1, 2, 3, 3, 1]
    assert lengths.seen == ["ccc", "ddd"]


def test_the_bar_begins_with_what_was_kept(lengths, monkeypatch):
    updates: list[int] = []
    monkeypatch.setattr(parts.Bar, "update", lambda self, n=1: updates.append(n))
    lengths.run()
    (lengths.folder / "000000004.npz").unlink()
    lengths.run()
    assert updates == [0, 2, 2, 1, 4, 1]


class Backwards:
    """An engine whose actors are done with the last shard first; what they get and give is pickled."""

    actors = 2

    def map(self, make, shards):
        work = pickle.loads(pickle.dumps(make))()
        for number, shard in reversed(list(enumerate(shards))):
            yield number, pickle.loads(pickle.dumps(work(pickle.loads(pickle.dumps(shard)))))


def counted():
    return lambda some: Part(np.array([len(text) for text in some]), tokens=1, parameters=1)


def test_parts_come_in_order_whichever_an_engine_is_done_with_first(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "PART", 2)
    done = in_parts(
        ROWS, counted, tmp_path / "parts", progress=False, what="test", meter=Meter(), engine=Backwards()
    )
    assert [part.tolist() for part in done] == [[1, 2], [3, 4], [1]]
