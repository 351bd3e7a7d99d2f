"""Every shape of rows, read by row; what is guessed or left out is said."""

from __future__ import annotations

import pytest
from helpers.exported import KINDS, call, exported, rows
from helpers.row_shapes import DOCS, READ, REFUSED, A, G, H, U, read, refusal, shown, written

from ds2.base.errors import UserError
from ds2.config import BadRows, PoolFormat, Turns

CALLS = A | {"content": "", "tool_calls": [call("1"), call("2")]}
RESULT = {"role": "tool", "content": "2", "tool_call_id": "1"}
NAMES = [name for name, _, _ in READ]


@pytest.mark.parametrize(("row", "expected"), [case[1:] for case in READ], ids=NAMES)
def test_a_shape_is_read_as_its_conversation(row, expected):
    assert shown(read(row)) == [expected]


@pytest.mark.parametrize(("row", "expected"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED])
def test_a_bad_row_is_refused_by_field_and_reason(row, expected):
    assert refusal(row) == expected


def test_the_table_of_the_documentation_is_what_is_read():
    assert DOCS.read_text(encoding="utf-8") == written()


def test_all_shapes_may_stand_in_one_pool():
    pool = read(*(row for _, row, _ in READ))
    assert shown(pool) == [expected for _, _, expected in READ]
    assert sum(pool.shapes.values()) == len(READ)


def test_a_format_asked_for_is_the_only_one_read():
    row = {"instruction": "i", "output": "o", "prompt": "p", "completion": "c", "text": "t"}
    assert shown(read(row, format=PoolFormat.prompt_completion)) == ["user `p`, assistant `o`"]
    assert shown(read(row, format=PoolFormat.text)) == ["assistant `t`"]
    with pytest.raises(UserError, match="field messages: is missing"):
        read(row, format=PoolFormat.messages)


def test_columns_name_what_no_shape_knows():
    row = {"key": 7, "q": "q", "deep": {"a": "a"}, "output": "o", "topic": "t"}
    names = {"user": "q", "assistant": "deep.a", "id": "key", "source": "topic"}
    pool = read(row, columns=names)
    assert shown(pool) == ["user `q`, assistant `a`"]
    assert (pool.ids, pool.sources) == (["7"], ["t"])
    assert pool.column("output (given)") == ["o"]
    assert pool.column("key") == [7]
    assert shown(read({"m": [H, G], "messages": "x"}, columns={"messages": "m"})) == [
        "user `q`, assistant `a`"
    ]


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(UserError, match=r"row 1, field p: is missing \(pool.columns.user\)"):
        read({"q": "q", "a": "a"}, columns={"user": "p", "assistant": "a"})
    with pytest.raises(UserError, match="pool.columns=q is not of the form"):
        read({"q": "q"}, columns="q")
    with pytest.raises(UserError, match=r"pool.columns: human is none of messages, system, user"):
        read({"q": "q"}, columns={"human": "q"})


def test_what_was_guessed_is_said_with_the_number_of_rows():
    rows = [{"question": f"q{i}", "answer": "a", "response": "r"} for i in range(3)]
    (warning,) = read(*rows).warnings
    assert warning == "the answer is read from response; kept as fields: answer (3 rows)"
    assert read({"messages": [U, A]}, {"conversations": [H, G]}).warnings == ()


def test_fields_of_turns_without_a_place_are_named():
    (warning,) = read({"messages": [U | {"emotion": "joy"}, A | {"emotion": None}]}).warnings
    assert warning == "fields of turns that are left out: emotion (1)"


def test_a_field_that_the_conversation_did_not_use_is_kept():
    row = {"prompt": "q", "chosen": "a", "rejected": "b", "meta": {"x": 1}, "tags": ["t"]}
    (sample,) = read(row).samples
    assert sample.columns == {"rejected": "b", "meta": {"x": 1}, "tags": ["t"]}


def test_the_last_answer_alone_is_rated_and_trained_where_asked_for():
    row = {"messages": [U, A, U, A | {"content": "b"}, U]}
    pool = read(row, turns=Turns.last)
    assert shown(pool) == ["user `q`, assistant (not trained) `a`, user `q`, assistant `b`"]
    assert pool.answers() == ["b"]
    assert read(row).answers() == ["a b"]


def test_odd_orders_of_turns_are_counted():
    pool = read(
        {"messages": [U, A, U]}, {"messages": [A, U, A]}, {"messages": [U, U, A]}, {"messages": [U, A]},
        {"messages": [U, {"role": "system", "content": "s"}, A]},
    )  # fmt: skip
    skipped, tail = pool.warnings
    for kind in ("1 begin with an assistant turn", "1 have a role twice in a row",
                 "1 have a later system turn"):  # fmt: skip
        assert kind in skipped
    assert "user turn" not in skipped
    assert tail == "1 samples go on after their last answer: kept, though nothing trains that"


@pytest.mark.parametrize("name", sorted(KINDS))
def test_the_warning_of_what_llama_factory_skips_holds_of_its_export(tmp_path, name):
    warned = any("would skip" in warning for warning in read(*rows([name])).warnings)
    assert warned == bool(exported(tmp_path, "llama_factory", rows([name])).tally.left_out)


@pytest.mark.parametrize(
    ("turns", "skipped"),
    [
        ([U, A, U, U], False), ([U, A, {"role": "system", "content": "s"}, U], False),
        ([U, U, A, U], True), ([U, CALLS, RESULT, RESULT, A], False), ([U, CALLS, RESULT, U, A], True),
        ([U, CALLS, RESULT], False), ([U, CALLS, A], True),
    ],
)  # fmt: skip
def test_what_follows_the_last_answer_makes_no_row_skipped(tmp_path, turns, skipped):
    row = {"id": "a", "messages": turns}
    assert any("would skip" in warning for warning in read(row).warnings) is skipped
    assert bool(exported(tmp_path, "llama_factory", [row]).tally.left_out) is skipped


def test_bad_rows_are_dropped_by_reason_and_none_is_a_traceback():
    pool = read(*(row for _, row, _ in REFUSED), {"messages": [U, A]}, on_bad_rows=BadRows.drop)
    assert len(pool) == 1
    assert sum(pool.dropped.values()) == len(REFUSED)
    assert pool.dropped["no known shape"] == 1
    assert pool.shapes == {"messages": 1}


def test_a_field_nested_too_deeply_is_a_bad_row():
    deep: list = []
    for _ in range(20_000):
        deep = [deep]
    pool = read({"messages": [U, A], "meta": deep}, {"messages": [U, A]}, on_bad_rows=BadRows.drop)
    assert (len(pool), pool.dropped) == (1, {"is nested too deeply": 1})


def test_a_pool_of_unknown_rows_is_not_advised_to_drop_them_all():
    with pytest.raises(UserError, match="no known shape|none of the shapes") as refused:
        read({"a": 1})
    assert "on_bad_rows" not in str(refused.value)


ODD = ["x", 1, [[[]]], {"a": None}, [{"role": "user"}], [None], [["q"]], [{}], {"role": []}, [1, "x"]]


@pytest.mark.parametrize("name", "messages conversations history chosen prompt tools images system".split())
def test_an_odd_value_anywhere_is_a_row_or_a_bad_row(name):
    for value in ODD:
        row = {"instruction": "q", "output": "a", name: value}
        pool = read(row, {"messages": [U, A]}, on_bad_rows=BadRows.drop)
        assert len(pool) + sum(pool.dropped.values()) == 2


def test_images_of_a_hub_data_set_are_refused_and_words_about_images_are_not():
    class Picture:
        """As `datasets` gives one."""

    with pytest.raises(UserError, match="field image: holds media"):
        read({"messages": [U, A], "image": Picture()})
    assert len(read({"messages": [U, A], "image": "a.png", "images": [], "video": None})) == 1
