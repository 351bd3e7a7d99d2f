"""One sample of rows in every shape and kind of file is one pool, and leads to one subset."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.every_kind import KINDS, OPTIONS, sample, selected, written

from ds2.config.compose import compose
from ds2.pool import Pool, PoolSource
from ds2.rating.raters import rate

ROWS = [
    {
        "id": f"r{i}", "source": f"s{i % 3}", "score": i % 6,
        "messages": [
            {"role": "user", "content": f"Frage {i}, \"quer\"\nzweite Zeile; 日本 🌳"},
            {"role": "assistant", "content": f"Antwort {i}\n\n| a | b |"},
        ],
    }
    for i in range(60)
]  # fmt: skip


def pool_of(path: Any, kind: str) -> tuple[Pool, list[int]]:
    options = ["pool=jsonl", "pool.path=x", "rater=from_column", "rater.column=score", *OPTIONS.get(kind, ())]
    config = compose(options)
    config.pool.path = str(path)
    pool = PoolSource(config.pool, num_scores=6).load()
    return pool, rate(config.rater, pool, config.scale).scores.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_a_pool_is_the_same_in_every_shape_and_kind_of_file(tmp_path, kind):
    if kind == "datasets.save_to_disk":
        pytest.importorskip("datasets")
    expected, scores = pool_of(written(tmp_path / "usual", ROWS, "chat messages"), "chat messages")
    pool, given = pool_of(written(tmp_path / "other", ROWS, kind), kind)
    assert (pool.ids, pool.sources, given) == (expected.ids, expected.sources, scores)
    assert list(pool.conversations()) == list(expected.conversations())
    assert pool.answers() == expected.answers()
    assert pool.dropped == {}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_real_sample_leads_to_one_subset_in_every_shape_and_kind_of_file(tmp_path, shared_data, kind):
    rows = sample(300)
    usual = written(tmp_path / "usual", rows, "chat messages")
    other = written(tmp_path / "other", rows, kind)
    expected = selected(usual, 30, tmp_path / "store1")
    assert selected(other, 30, tmp_path / "store2", OPTIONS.get(kind, ())) == expected
