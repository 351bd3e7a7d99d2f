"""What a subset leaves on disk: its conversations, and a report of what it is made of."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ds2.artifacts.subset import (
    Overlap,
    conversations,
    overlaps,
    read_conversations,
    read_report,
    read_subset,
    subset_size,
    write_subset,
)
from ds2.artifacts.subset_report import Row, describe
from ds2.base.errors import DamagedArtifact
from ds2.config.compose import compose
from ds2.pool import Message, Pool, Sample
from ds2.runs.chain import Chain
from ds2.selection.request import Choice


@pytest.fixture
def subset(planted_pool: Path):
    """The folder of a finished subset of 20; the true score is the rating."""

    def made(*overrides: str) -> Path:
        fixed = ["pool=jsonl", f"pool.path={planted_pool}", "model=tiny", "tracking=none", "until=select",
                 "budget.samples=20", "runtime.progress=false", "rater=truth", "selection=alpagasus",
                 f"paths.artifacts={planted_pool.parent / 'artifacts'}"]  # fmt: skip
        return Chain(compose([*fixed, *overrides])).run().stages["select"].path

    return made


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.open(encoding="utf-8")]


def test_the_report_counts_pool_and_subset(subset, planted_pool):
    folder = subset("selection.filter.source_quota=[{source:s2,samples:15}]")
    report = json.loads((folder / "subset_report.json").read_text())
    pool = lines(planted_pool)
    table = pd.read_parquet(folder / "subset.parquet")
    for name in ("s0", "s1", "s2"):
        assert report["sources"][name]["pool"] == sum(row["source"] == name for row in pool)
        assert report["sources"][name]["subset"] == (table["source"] == name).sum()
    assert sum(report["scores"]["score"]["pool"].values()) == 240
    assert report["scores"]["score"]["subset"] == {
        str(level): n for level, n in sorted(table["score"].value_counts().items())
    }
    length = np.median([sum(len(m["content"]) for m in row["messages"]) for row in pool])
    assert report["characters"]["pool"]["q50"] == length
    assert [row["id"] for row in report["to_read"]] == table["id"].tolist()
    assert not set(table["id"]) & {row["id"] for row in report["next_in_line"]}
    text = (folder / "subset_report.md").read_text()
    assert "| s2 |" in text
    assert "| 15 |" in text


def test_the_next_in_line_are_what_a_larger_budget_would_add(subset):
    report = json.loads((subset() / "subset_report.json").read_text())
    larger = pd.read_parquet(subset("budget.samples=30") / "subset.parquet")["id"].tolist()
    assert [row["id"] for row in report["next_in_line"]] == larger[20:]


def test_the_overlap_with_the_other_subsets_of_the_same_pool_is_measured(subset, planted_pool):
    smaller = subset("budget.samples=10")
    larger = subset()
    assert overlaps(larger) == [Overlap(smaller.name, selected=10, shared=10, jaccard=0.5)]
    other = planted_pool.with_name("other.jsonl")
    other.write_text("\n".join(planted_pool.read_text().splitlines()[:100]))
    assert overlaps(subset(f"pool.path={other}")) == []
    assert len(overlaps(larger)) == 1


def test_each_row_says_which_row_of_which_file_it_was_and_the_report_has_the_hashes(subset, planted_pool):
    rows = planted_pool.read_text(encoding="utf-8").splitlines()
    shards = planted_pool.parent / "shards"
    files = {"a/part.jsonl": [*rows[:60], "{oops", ""], "b/part.jsonl": ["", *rows[60:200]]}
    for name, held in files.items():
        (shards / name).parent.mkdir(parents=True)
        (shards / name).write_text("\n".join(held), encoding="utf-8")
    folder = subset(f"pool.path={shards}", "pool.on_bad_rows=drop")
    chosen = lines(conversations(folder))
    assert {row["file"] for row in chosen} == set(files)
    assert [json.loads(files[row["file"]][row["file_row"] - 1])["id"] for row in chosen] == [
        row["id"] for row in chosen
    ]
    assert [row["file_row"] for row in chosen] == read_subset(folder, "file_row")["file_row"].tolist()
    digests = {n: "sha256:" + hashlib.sha256((shards / n).read_bytes()).hexdigest() for n in files}
    assert read_report(folder).files == digests
    text = (folder / "subset_report.md").read_text()
    assert f"- Read from `a/part.jsonl`, `{digests['a/part.jsonl']}`" in text
    assert str(planted_pool.parent) not in text + conversations(folder).read_text()


POOL = Pool([Sample(f"s{i}", i, "here", (Message("user", f"{i}?"),), {}) for i in range(4)], 4)


def test_a_subset_comes_back_as_it_was_written(tmp_path):
    scores = np.array([5, 4, -1, 3], dtype=np.int16)
    choice = Choice(np.array([1, 0]), ["second", "first"], np.array([0.5, 0.25]), next_in_line=np.array([3]))
    write_subset(tmp_path, POOL, choice, {"score": scores}, title="mine")
    table = read_subset(tmp_path)
    assert list(table) == [
        "rank", "id", "row", "source", "file", "file_row", "score", "curated", "long_tail", "value", "reason",
    ]  # fmt: skip
    assert table["id"].tolist() == ["s1", "s0"]
    assert (table["score"].tolist(), table["value"].tolist()) == ([4, 5], [0.5, 0.25])
    assert table["curated"].isna().all()
    assert subset_size(tmp_path) == 2
    assert list(read_conversations(tmp_path)) == [
        (rank, [{"role": "user", "content": text}]) for rank, text in enumerate(["1?", "0?"])
    ]
    assert [rank for rank, _ in read_conversations(tmp_path, {1})] == [1]
    report = read_report(tmp_path)
    assert report == describe(POOL, choice, {"score": scores}, title="mine")
    assert report.next_in_line[0] == Row(
        rank=None, id="s3", source="here", score=3, messages=[{"role": "user", "content": "3?"}]
    )


def test_what_is_not_known_of_a_sample_is_left_out_of_the_report_s_file(tmp_path):
    write_subset(tmp_path, POOL, Choice(np.array([1]), ["so"]), {}, title="mine")
    (row,) = json.loads((tmp_path / "subset_report.json").read_text())["to_read"]
    assert list(row) == ["rank", "id", "source", "messages"]


def test_a_damaged_subset_is_named_with_its_key_or_line(tmp_path):
    write_subset(tmp_path, POOL, Choice(np.array([1]), ["so"]), {}, title="mine")
    file = tmp_path / "subset_report.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"selected": "one"}))
    with pytest.raises(
        DamagedArtifact, match=r"subset_report\.json is damaged: SubsetReport\.selected: expected int"
    ):
        read_report(tmp_path)
    conversations(tmp_path).write_text("{}\n")
    with pytest.raises(DamagedArtifact, match=r"subset\.jsonl is damaged: line 1 is not a row with messages"):
        list(read_conversations(tmp_path))
    (tmp_path / "subset.parquet").write_bytes(b"")
    for read in (read_subset, subset_size):
        with pytest.raises(DamagedArtifact, match=r"subset\.parquet is damaged"):
            read(tmp_path)
