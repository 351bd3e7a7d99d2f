"""A search that was interrupted goes on from the blocks that it has, and comes to the same graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ds2.artifacts.graph_blocks import GraphBlocks
from ds2.method import knn_faiss
from ds2.method.knn import KnnGraph, knn_graph

ROWS, BLOCK = 3000, 128
BLOCKS = -(-ROWS // BLOCK)
METHODS = pytest.mark.parametrize("method", ["exact", "approximate"])


class Ended(Exception):
    """The process is asked to end."""


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Around 60 centres, so that cells are worth reading; some are copies, and blocks are small."""
    monkeypatch.setattr(knn_faiss, "_BLOCK", BLOCK)
    monkeypatch.setattr(knn_faiss, "_FEWEST", 2)
    rng = np.random.default_rng(0)
    return rng.standard_normal((60, 24))[rng.integers(0, 60, ROWS)] * 3 + rng.standard_normal((ROWS, 24))


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first queries of the blocks that were found and kept."""
    starts: list[int] = []
    plain = GraphBlocks.write

    def write(self: GraphBlocks, start: int, origin: str, found: Any) -> None:
        plain(self, start, origin, found)
        starts.append(start)

    monkeypatch.setattr(GraphBlocks, "write", write)
    return starts


def same(one: KnnGraph, other: KnnGraph) -> bool:
    equal = np.array_equal(one.neighbors, other.neighbors)
    return equal and one.distances.tobytes() == other.distances.tobytes() and one.search == other.search


@METHODS
def test_it_goes_on_after_what_is_kept(
    method: str, rows: np.ndarray, written: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = knn_graph(rows, 12, method=method)
    assert ("cells" in whole.search) == (method == "approximate")
    plain = GraphBlocks.write

    def ends(self: GraphBlocks, start: int, origin: str, found: Any) -> None:
        if start >= 7 * BLOCK:
            raise Ended
        plain(self, start, origin, found)

    with monkeypatch.context() as patch:
        patch.setattr(GraphBlocks, "write", ends)
        with pytest.raises(Ended):
            knn_graph(rows, 12, method=method, keep=GraphBlocks(tmp_path))
    assert sorted(written) == [BLOCK * block for block in range(7)]
    again = knn_graph(rows, 12, method=method, keep=GraphBlocks(tmp_path))
    assert sorted(written) == [BLOCK * block for block in range(BLOCKS)]  # none twice
    assert same(again, whole)


@METHODS
def test_a_damaged_block_and_those_of_other_rows_are_found_again(
    method: str, rows: np.ndarray, written: list[int], tmp_path: Path
) -> None:
    whole = knn_graph(rows, 12, method=method, keep=GraphBlocks(tmp_path))
    first, second, *_ = sorted(tmp_path.iterdir())
    first.write_bytes(first.read_bytes()[:100])
    content = bytearray(second.read_bytes())
    content[len(content) // 2] ^= 1
    second.write_bytes(content)
    written.clear()
    assert same(knn_graph(rows, 12, method=method, keep=GraphBlocks(tmp_path)), whole)
    assert sorted(written) == [0, BLOCK]
    for change in ({"k": 11}, {"embeddings": rows[::-1]}):
        written.clear()
        asked = {"embeddings": rows, "k": 12, "method": method} | change
        assert same(knn_graph(**asked, keep=GraphBlocks(tmp_path)), knn_graph(**asked))
        assert len(written) == BLOCKS


def test_a_search_of_seconds_keeps_nothing(rows: np.ndarray, tmp_path: Path) -> None:
    knn_graph(rows[:1000], 12, keep=GraphBlocks(tmp_path / "blocks"))
    assert not (tmp_path / "blocks").exists()
