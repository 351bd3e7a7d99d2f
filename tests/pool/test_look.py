"""What a pool is made of, counted on planted rows."""

from __future__ import annotations

import pytest
from helpers.row_shapes import A, U, read

from ds2.pool.look import language, look, quantiles


def row(question: str = "q", answer: str = "a", **fields) -> dict:
    return {"messages": [U | {"content": question}, A | {"content": answer}], **fields}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The capital of France is Paris, and it is in the north.", "English"),
        ("Die Hauptstadt von Frankreich heißt Paris.", "other Latin script"),
        ("法国的首都是巴黎。", "Chinese"),
        ("フランスの首都はパリです。", "Japanese"),
        ("프랑스의 수도는 파리입니다", "Korean"),
        ("เมืองหลวงของฝรั่งเศส", "Thai"),
        ("Столица Франции", "Cyrillic script"),
        ("عاصمة فرنسا", "Arabic script"),
        ("1 + 1 = 2", "no letters"), ("🌳🌳", "no letters"),
    ],
)  # fmt: skip
def test_a_language_is_told_by_its_letters(text, expected):
    assert language(text) == expected


def test_turns_lengths_duplicates_and_ids_are_counted():
    pool = read(
        row("one", "aaaa", id=1), row("one", "aaaa", id=2), row("one", "other", id=3), row("two", "```x```"),
        {"messages": [{"role": "system", "content": "s"}, U, A, U, A]},
    )  # fmt: skip
    seen = look(pool)
    assert seen.roles == {"system": 1, "user": 6, "assistant": 6}
    assert seen.turns == [2, 2, 2, 2, 5]
    assert seen.questions == [3, 3, 3, 3, 3]
    assert seen.answers == [4, 4, 5, 7, 3]
    assert (seen.same_text, seen.same_question, seen.made_ids, seen.with_code) == (1, 2, 2, 1)


def test_an_id_is_no_column_of_scores_and_none_where_it_is_nan():
    seen = look(
        read(row(id=1, score=2), row(answer="b", id=float("nan"), score=3), row("p", id=" ", score=4))
    )
    assert seen.made_ids == 2
    assert list(seen.columns) == ["score"]


def test_columns_of_numbers_are_found_and_numberings_are_not():
    rows = [
        row(f"q{i}", id=i, n=i, score=i % 6, deep={"rating": str(1 + i % 10)}, float=i / 100, text="4/10",
            **({"rare": 1} if i == 0 else {}))
        for i in range(300)
    ]  # fmt: skip
    columns = look(read(*rows)).columns
    assert set(columns) == {"score", "deep.rating", "float"}
    assert (columns["score"].low, columns["score"].high, columns["score"].whole) == (0, 5, True)
    assert not columns["float"].whole


def test_quantiles_are_of_the_values():
    assert quantiles(list(range(101))) == (5, 50, 95, 100)
