"""Every accepted shape, and every bad row named by file, row and field."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from ds2.base.errors import MissingInput, UserError
from ds2.config import BadRows, DuplicateIds, FilesPoolConfig, MiniPoolConfig, Turns
from ds2.pool import Pool, PoolSource
from ds2.pool.pool import Origin

GOOD = {"id": "a", "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}


def source(path: Path | str, **options) -> PoolSource:
    return PoolSource(FilesPoolConfig(name="", path=str(path), **options), num_scores=6)


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def turns(pool: Pool) -> list[list[tuple[str, str]]]:
    return [[(m.role, m.content) for m in sample.messages] for sample in pool.samples]


def test_messages_alpaca_and_sharegpt_become_the_same_conversation(tmp_path):
    chat = write(tmp_path / "m.jsonl", GOOD)
    alpaca = write(tmp_path / "a.jsonl", {"instruction": "Hi", "input": "", "output": "Hello"})
    sharegpt = write(
        tmp_path / "s.jsonl",
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
    )
    expected = [[("user", "Hi"), ("assistant", "Hello")]]
    assert (
        turns(source(chat).load())
        == turns(source(alpaca).load())
        == turns(source(sharegpt).load())
        == expected
    )


def test_turns_without_roles_alternate_as_in_lima(tmp_path):
    path = write(tmp_path / "l.jsonl", {"conversations": ["Hi", "Hello", "Bye"], "source": "wikihow"})
    assert turns(source(path).load()) == [[("user", "Hi"), ("assistant", "Hello"), ("user", "Bye")]]


def test_an_alpaca_input_follows_its_instruction(tmp_path):
    path = write(tmp_path / "a.jsonl", {"instruction": "Add", "input": "1 2", "output": "3"})
    assert turns(source(path).load()) == [[("user", "Add\n1 2"), ("assistant", "3")]]


def test_json_gz_and_parquet_hold_the_same_rows(tmp_path):
    import pandas as pd

    rows = [GOOD, GOOD | {"id": "b", "source": "web", "score": 3}]
    write(tmp_path / "p.jsonl", *rows)
    (tmp_path / "p.json").write_text(json.dumps(rows))
    (tmp_path / "p.jsonl.gz").write_bytes(gzip.compress((tmp_path / "p.jsonl").read_bytes()))
    pd.DataFrame(rows).to_parquet(tmp_path / "p.parquet")
    pools = [source(tmp_path / name).load() for name in ("p.jsonl", "p.json", "p.jsonl.gz", "p.parquet")]
    assert all(turns(pool) == turns(pools[0]) and pool.ids == ["a", "b"] for pool in pools)
    assert pools[0].sources == ["p", "web"]


def test_a_folder_is_read_in_the_order_of_names(tmp_path):
    for name in ("2", "1", "3"):
        write(tmp_path / f"{name}.jsonl", GOOD | {"id": name})
    assert source(tmp_path).load().ids == ["1", "2", "3"]


def test_columns_are_reached_by_a_dotted_path(tmp_path):
    path = write(tmp_path / "p.jsonl", GOOD | {"scores": {"x": 2}}, GOOD | {"id": "b", "scores": {"x": None}})
    pool = source(path).load()
    assert pool.column("scores.x") == [2, None]
    with pytest.raises(UserError, match=r"column scores\.y; the first row has: id, scores\.x"):
        pool.column("scores.y")


def test_a_column_of_the_very_name_comes_before_a_path(tmp_path):
    rows = [GOOD | {"meta.score": 4, "meta": {"score": 1}, "none": None, "deep": {"none": None}}]
    pool = source(write(tmp_path / "p.jsonl", *rows)).load()
    assert pool.column("meta.score") == [4]
    for name in ("none", "deep.none"):
        with pytest.raises(UserError, match=f"the column {name} is null in every row"):
            pool.column(name)


BAD_ROWS = {
    "empty user turn": (
        {"messages": [{"role": "user", "content": " "}, GOOD["messages"][1]]},
        r"row 2, field messages\[0\]\.content: user turn is empty",
    ),
    "unknown role": (
        {"messages": [{"role": "judge", "content": "x"}]},
        r"row 2, field messages\[0\]\.role: unknown role 'judge'",
    ),
    "no assistant turn": ({"messages": GOOD["messages"][:1]}, r"row 2, field messages: no assistant turn"),
    "no user turn": ({"messages": GOOD["messages"][1:]}, r"row 2, field messages: no user turn"),
    "duplicate id": (GOOD, r"row 2 \(id 'a'\), field id: duplicate id 'a', first seen at .*row 1"),
    "no text": ({"messages": [{"role": "user"}]}, r"row 2, field messages\[0\]\.content: is missing"),
    "no shape": ({"x": "x"}, r"row 2, field \(row\): has none of the shapes that DS2 reads"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_named_by_file_row_and_field(tmp_path, name):
    row, message = BAD_ROWS[name]
    path = write(tmp_path / "p.jsonl", GOOD, row)
    with pytest.raises(UserError, match=rf"p\.jsonl, {message}"):
        source(path).load()


@pytest.mark.parametrize(
    ("line", "message"),
    [(b"{oops\n", "not JSON"), (b'{"a": "\xff"}\n', "not UTF-8"), (b"[1]\n", "not an object")],
)
def test_a_line_that_is_no_row_is_named(tmp_path, line, message):
    path = write(tmp_path / "p.jsonl", GOOD)
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(UserError, match=rf"p\.jsonl, row 2, .*{message}"):
        source(path).load()


def test_bad_rows_can_be_dropped_and_are_counted_by_reason(tmp_path):
    path = write(tmp_path / "p.jsonl", *(row for row, _ in BAD_ROWS.values()), GOOD | {"id": "z"})
    path.write_bytes(path.read_bytes() + b"{oops\n")
    pool = source(path, on_bad_rows=BadRows.drop).load()
    assert pool.ids == ["a", "z"]
    assert pool.rows == [4, 7]
    assert pool.rows_read == 9
    assert sum(pool.dropped.values()) == 7
    assert pool.dropped["not JSON"] == 1
    assert any("7 bad rows were left out" in warning for warning in pool.warnings)


def test_an_empty_answer_is_kept_and_counted(tmp_path):
    row = {"messages": [GOOD["messages"][0], {"role": "assistant", "content": ""}]}
    pool = source(write(tmp_path / "p.jsonl", row)).load()
    assert len(pool) == 1
    assert pool.warnings == ("1 samples have an empty assistant answer; they are kept",)


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_pool_is_refused(tmp_path, content):
    (tmp_path / "p.jsonl").write_bytes(content)
    with pytest.raises(UserError, match="no usable row"):
        source(tmp_path / "p.jsonl").load()


def test_missing_files_unknown_endings_and_broken_gzip_are_named(tmp_path):
    with pytest.raises(MissingInput, match=r"nowhere\.jsonl"):
        _ = source(tmp_path / "nowhere.jsonl").fingerprint
    (tmp_path / "p.txt").write_text("x")
    with pytest.raises(UserError, match=r"p\.txt holds no rows that DS2 reads"):
        source(tmp_path / "p.txt").load()
    (tmp_path / "p.jsonl.gz").write_bytes(gzip.compress(json.dumps(GOOD).encode())[:-12])
    with pytest.raises(UserError, match="not a whole gzip file"):
        source(tmp_path / "p.jsonl.gz").load()


def test_moving_a_file_keeps_the_fingerprint_and_editing_it_does_not(tmp_path):
    path = write(tmp_path / "p.jsonl", GOOD)
    before = source(path).fingerprint
    moved = path.rename(tmp_path / "q.jsonl")
    assert source(moved).fingerprint == before
    write(moved, GOOD | {"id": "b"})
    assert source(moved).fingerprint != before


def test_options_that_came_later_enter_the_fingerprint_only_where_they_are_set(tmp_path):
    path = write(tmp_path / "p.jsonl", GOOD)
    usual = source(path).fingerprint
    assert source(path, columns=None, turns=Turns.all, max_row_bytes=64 * 1024**2).fingerprint == usual
    for option in (
        {"turns": Turns.last},
        {"columns": {"id": "x"}},
        {"on_duplicate_ids": DuplicateIds.number},
        {"max_row_bytes": 10_000},
    ):
        assert source(path, **option).fingerprint != usual


def test_a_limit_cuts_the_pool(tmp_path):
    path = write(tmp_path / "p.jsonl", *(GOOD | {"id": str(i)} for i in range(5)))
    pool = source(path, limit=3).load()
    assert pool.ids == ["0", "1", "2"]
    assert pool.limited


def test_the_mini_pool_is_known_by_its_content():
    def mini(**options) -> PoolSource:
        return PoolSource(MiniPoolConfig(name="mini", samples=200, **options), num_scores=6)

    assert mini().fingerprint == mini().fingerprint != mini(seed=1).fingerprint
    assert len(mini().load()) == 200


def test_a_pool_knows_what_it_was_read_from(tmp_path):
    path = write(tmp_path / "p.jsonl", GOOD)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert source(path).load().origins == {str(path): Origin("p.jsonl", f"sha256:{digest}")}
    mini = PoolSource(MiniPoolConfig(name="mini", samples=200), num_scores=6)
    pool = mini.load()
    assert pool.origins == {"mini pool": Origin("mini pool", f"rows:{mini.fingerprint}")}
    assert {sample.place.file for sample in pool.samples if sample.place} == {"mini pool"}


def test_a_process_reads_the_same_content_once(tmp_path):
    path = write(tmp_path / "p.jsonl", GOOD)
    pool = source(path).load()
    assert source(path).load() is pool
    write(path, GOOD | {"id": "b"})
    assert source(path).load().ids == ["b"]
