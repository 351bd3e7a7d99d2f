"""Questions are found in texts by shared runs of words: planted copies all, other texts not."""

from __future__ import annotations

import random

import pytest

from ds2.method.overlap import QuestionIndex
from ds2.method.terms import words_of

LONG = (
    "Janet's ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes muffins for her "
    "friends every day with four. She sells the remainder at the market for $2 per egg."
)
MIDDLE = "A robe takes 2 bolts of blue fiber and half that much white fiber: how many?"
SHORT = "Which planet of the solar system is largest?"
TINY = "What is photosynthesis?"
BENGALI = "বাংলাদেশের সবচেয়ে বড় নদী কোনটি এবং সেটি কত কিলোমিটার দীর্ঘ বলে ভূগোলের বইয়ে লেখা আছে?"
CHINESE = "如果一个农场有十二只羊和三十五只鸡，那么这个农场里的动物一共有多少条腿？"
QUESTIONS = [LONG, MIDDLE, SHORT, TINY, CHINESE, BENGALI]


@pytest.fixture(scope="module")
def index() -> QuestionIndex:
    return QuestionIndex(QUESTIONS)


def found(index: QuestionIndex, *turns: str) -> list[int]:
    return [held.question for held in index.held_in(turns)]


@pytest.mark.parametrize("place", range(len(QUESTIONS)))
@pytest.mark.parametrize(
    "copied",
    [
        lambda text: text,
        str.upper,
        lambda text: "\n\t" + text.replace(" ", " \n  ") + "  ",
        lambda text: text.replace(".", "").replace("?", "!!").replace(",", ""),
        lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),  # wide forms
    ],
    ids=["exact", "case", "whitespace", "punctuation", "wide"],
)
def test_a_copy_is_found_whatever_its_case_spacing_and_punctuation(index, place, copied):
    assert found(index, "another turn", copied(QUESTIONS[place])) == [place]
    assert index.held_in([copied(QUESTIONS[place])])[0].share == 1.0


@pytest.mark.parametrize("question", [LONG, MIDDLE, CHINESE, BENGALI])
def test_a_copy_with_any_one_word_changed_is_found(question):
    index, words = QuestionIndex([question]), words_of(question)
    for place in range(len(words)):
        changed = [*words[:place], "zebra", *words[place + 1 :]]
        (held,) = index.held_in([" ".join(changed)])
        assert held.share >= (len(words) // 2) / len(words)


def test_one_word_changed_is_found_at_every_length_from_thirteen_words_on():
    rng = random.Random(0)
    for length in (13, 14, 17, 25, 26, 27, 40, 120):
        words = [f"w{rng.randrange(10**6)}" for _ in range(length)]
        index = QuestionIndex([" ".join(words)])
        for place in range(length):
            assert index.held_in([" ".join([*words[:place], "other", *words[place + 1 :]])]), (length, place)


def test_a_copy_within_a_longer_text_is_found_and_its_longest_run_told(index):
    text = f"Solve this carefully. {LONG} Show your work."
    (held,) = index.held_in([text])
    assert held.question == 0
    assert held.words == " ".join(words_of(LONG))


def test_a_short_question_is_held_whole_or_not_at_all(index):
    assert found(index, f"Tell me: {SHORT} Thanks.") == [2]
    assert found(index, SHORT.replace("planet", "moon")) == []


def test_a_tiny_question_is_held_by_a_turn_that_says_nothing_else(index):
    assert found(index, "WHAT is photosynthesis") == [3]
    assert found(index, "What is photosynthesis, and why do plants need it?") == []


def test_texts_that_share_phrases_hold_nothing(index):
    assert found(index, "She eats three for breakfast every morning, how many eggs is that per day?") == []
    assert found(index, LONG.split(". ")[1][:60]) == []
    assert found(index, "", "...", "12 34") == []


def test_a_run_does_not_go_from_one_turn_into_the_next(index):
    words = SHORT.split()
    assert found(index, " ".join(words[:4]), " ".join(words[4:])) == []


def test_repeated_runs_of_one_question_count_once():
    question = " ".join(f"w{i}" for i in range(40))
    half = " ".join(f"w{i}" for i in range(15))
    assert QuestionIndex([question]).held_in([" and ".join([half] * 4)]) == []


def test_questions_without_words_are_in_no_text():
    assert QuestionIndex(["", "?!"]).held_in(["", "?!", "anything"]) == []
