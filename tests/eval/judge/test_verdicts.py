from __future__ import annotations

import pytest

from eval.judge.verdicts import Pair, combine, judge_prompt, pair_up, read_verdict


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("Good. [[A]]", 1),
        ("[[B]]", -1),
        ("Equal: [[C]]\n", 0),
        ("At first [[A]], but [[B]]", -1),
        ("A is better", None),
        ("", None),
    ],
)
def test_the_last_verdict_of_a_reply_counts(reply: str, verdict: int | None) -> None:
    assert read_verdict(reply) == verdict


@pytest.mark.parametrize(
    ("as_a", "as_b", "outcome"),
    [
        (1, -1, 1), (1, 0, 1), (0, -1, 1),
        (0, 0, 0), (1, 1, 0), (-1, -1, 0),
        (-1, 1, -1), (-1, 0, -1), (0, 1, -1),
        (None, 1, None), (1, None, None),
    ],
)  # fmt: skip
def test_both_orders_together(as_a: int | None, as_b: int | None, outcome: int | None) -> None:
    assert combine(as_a, as_b) == outcome


def test_a_judge_who_always_prefers_the_answer_shown_first_sees_only_ties() -> None:
    assert combine(read_verdict("[[A]]"), read_verdict("[[A]]")) == 0


def test_the_prompt_shows_both_conversations_in_order_and_swapping_swaps_them() -> None:
    pair = Pair("1", 2, ("Hi?", "More?"), ("first one", "first two"), ("second one", "second two"))
    text = judge_prompt(pair)[1]["content"]
    places = [
        text.index(part)
        for part in ("Assistant A: first one", "Assistant A: first two", "Assistant B: second one")
    ]
    assert places == sorted(places)
    assert text.count("User: More?") == 2
    assert "Assistant A: second two" in judge_prompt(pair.swapped())[1]["content"]
    assert (pair.extra_length, pair.swapped().extra_length) == (-1, 1)


def test_each_turn_is_a_pair_with_what_went_before() -> None:
    first = [
        {"id": "x", "turns": ["a", "b"], "answers": ["1", "2"]},
        {"id": "y", "turns": ["c"], "answers": ["3"]},
    ]
    second = [
        {"id": "y", "turns": ["c"], "answers": ["6"]},
        {"id": "x", "turns": ["a", "b"], "answers": ["4", "5"]},
    ]
    assert pair_up(first, second) == [
        Pair("x", 1, ("a",), ("1",), ("4",)),
        Pair("x", 2, ("a", "b"), ("1", "2"), ("4", "5")),
        Pair("y", 1, ("c",), ("3",), ("6",)),
    ]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"id": "y", "turns": ["a"], "answers": ["1"]}, "different prompts"),
        ({"id": "x", "turns": ["b"], "answers": ["1"]}, "prompt x is not the same"),
        ({"id": "x", "turns": ["a"], "answers": []}, "1 turns, but 1 and 0 answers"),
        ({"id": "x", "turns": ["a"]}, "1 turns, but 1 and 0 answers"),
    ],
)
def test_files_that_do_not_match_are_refused(other: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pair_up([{"id": "x", "turns": ["a"], "answers": ["1"]}], [other])
