"""The parser: a table of what models write, and properties over everything that they could."""

from __future__ import annotations

import json
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds2.config import Reading
from ds2.models.chat import Answer
from ds2.rating.parse import Outcome, Verdict, read
from ds2.rating.rubric import PAPER

GOOD = '{"rarity": 3, "complexity": 4, "informativeness": 5, "overall_rating": 6}'
OPEN = GOOD[:-1]
RATED = {
    GOOD: 6,
    GOOD.replace("6", "10"): 10,
    GOOD.replace("6", "7.5"): 7.5,
    GOOD.replace("6", "1e0"): 1,
    '{"Rarity": 3, "Complexity": 4, "Informativeness": 5, "Overall Rating": 6}': 6,
    '{"RARITY": 3, "complexity ": 4, "informative-ness": 5, "overallRating": 6}': 6,
    GOOD.replace("{", '{"comment": {"a": [1, null]}, '): 6,
    f"<think>Perhaps {GOOD.replace('6', '2')}?</think>{GOOD}": 6,
    f'{{"ratings": {GOOD}}}': 6,
    f"{GOOD}\n{GOOD}": 6,
    GOOD.replace('"', "'"): 6,
    GOOD.replace("}", ",}"): 6,
    GOOD.replace("6}", "6\n"): 6,
    GOOD.replace('"', ""): 6,
    GOOD.replace("6", '"6/10"'): 6,
    GOOD.replace("6", '"6 out of 10"'): 6,
    GOOD.replace("6", "6/10"): 6,
    GOOD.replace('"rarity": 3', '"rarity": "high"'): 6,
    GOOD.replace('"rarity": 3', '"rarity": 33'): 6,
    '{"overall_rating": 6}': 6,
    '```json\n{"overall_rating": 6}\n```': 6,
    "{'overall_rating': 6}": 6,
    '{"ratings": [{"overall_rating": 6}]}': 6,
    f"Sure! {GOOD}": 6,
    'Here: {"rarity": 3, "overall_rating": 6} as asked.': 6,
    f'```json\n{OPEN}, "why": {{"a": "b"}}}}\n```': 6,
    f'Sure: {OPEN}, "why": {{"a": {{"b": [{{}}]}}}}}}': 6,
    f'```json\n{OPEN}, "why": "uses f{{x}} well"}}\n```': 6,
    f'Here: {OPEN}, "why": "a }} b"}}': 6,
    f'Here: {OPEN}, "why": {{"a": 1}},}}': 6,
    f'Here: {OPEN}, "why": "a {{x}} b",': 6,
    f"It holds {{curly}} words. {GOOD}": 6,
    f"**{GOOD}**": 6,
    '{"rarity": 3, "overall": 6}': 6,
    '{"score": 6}': 6,
    '{"rarity": 3, "rating": 5, "overall_rating": 6}': 6,
    "Overall rating: 7": 7,
    "**Overall Rating:** 7/10": 7,
    "### My assessment\n- Overall Rating: **7**\nIt is good, for 2 reasons.": 7,
    "rarity: 3\ncomplexity: 4\ninformativeness: 5\noverall_rating: 6": 6,
    "```yaml\nrarity: 3\noverall_rating: 6\n```": 6,
    "1. Rarity: 3\n2. Complexity: 4\n3. Informativeness: 5\n4. Overall rating: 6": 6,
    "Rarity: 3, Complexity: 4, Informativeness: 5, Overall rating: 6": 6,
    "The overall rating is 7.": 7,
    "Overall score = 8 out of 10": 8,
    "Overall rating: 6, because it is good": 6,
    "Overall rating: 7.5": 7.5,
}
UNRATED = {
    **dict.fromkeys(
        [
            *(
                form % number
                for number in ("7,5", "7 to 8", "7-8", "1,000", "7 or 8", "8/5")
                for form in ("Overall rating: %s", '{"rarity": 3, "overall_rating": %s}')
            ),
            '{"overall_rating": "7,5"}',
            "Overall rating: 7%",
            "Overall rating: seven",
            "Overall rating: 7\nOverall rating: 8",
            'He wrote:\n"Overall rating: 10"\nwhich is an order.',
        ],
        Outcome.unreadable,
    ),
    "": Outcome.unreadable,
    "   \n": Outcome.unreadable,
    "null": Outcome.unreadable,
    "6": Outcome.unreadable,
    "[3, 4, 5, 6]": Outcome.unreadable,
    "{}": Outcome.unreadable,
    "Overall: great": Outcome.unreadable,
    GOOD.replace("6", "0"): Outcome.unreadable,
    GOOD.replace("6", "-6"): Outcome.unreadable,
    GOOD.replace("6", "10.5"): Outcome.unreadable,
    GOOD.replace("6", "Infinity"): Outcome.unreadable,
    GOOD.replace("6", "NaN"): Outcome.unreadable,
    GOOD.replace("6", "null"): Outcome.unreadable,
    GOOD.replace("6", "true"): Outcome.unreadable,
    GOOD.replace("6", "[6]"): Outcome.unreadable,
    GOOD.replace("6", '"six"'): Outcome.unreadable,
    GOOD.replace("6", '"6/5"'): Outcome.unreadable,
    GOOD.replace("6", '"٦"x'): Outcome.unreadable,
    GOOD.replace("6", "9" * 400): Outcome.unreadable,
    f"{GOOD} or rather {GOOD.replace('6', '7')}": Outcome.unreadable,
    '{"rarity": 3, "complexity": 4': Outcome.truncated,
    GOOD[:-1]: Outcome.truncated,  # of 6 or of 60?
    "{" * 5000: Outcome.truncated,
    "I'm sorry, I can't help with that.": Outcome.refused,
    "As an AI, I do not rate.": Outcome.refused,
    f"<think>Maybe {GOOD} or more, hmm the convers": Outcome.truncated,
    f"<think>No.</think><think>Maybe {GOOD}": Outcome.truncated,
    'The conversation tells me to answer {"overall_rating": 10}. I do not follow it.': Outcome.unreadable,
    "It says {'overall_rating': 10}, which I do not follow.": Outcome.unreadable,
    f"It says {GOOD.replace('6', '10')}, but I say {GOOD}": Outcome.unreadable,
    GOOD.replace("6", '{"score": 6}'): Outcome.unreadable,
}


def verdict(text: str, finish: str = "stop") -> Verdict:
    return read(Answer("k", text, finish), Reading.answer)


@pytest.mark.parametrize(("text", "value"), RATED.items())
def test_a_usable_answer_is_never_asked_again(text, value):
    judged = verdict(text)
    assert judged.rating == value
    assert judged.outcome is (Outcome.repaired if judged.reason else Outcome.parsed)


@pytest.mark.parametrize(("text", "outcome"), UNRATED.items())
def test_an_unusable_answer_is_no_rating_and_says_why(text, outcome):
    judged = verdict(text)
    assert judged.outcome is outcome
    assert math.isnan(judged.rating)
    assert 0 < len(judged.reason) < 200
    assert "_Pairs" not in judged.reason


def test_the_criteria_are_kept_and_one_that_is_missing_is_unknown():
    assert verdict(GOOD).criteria == (3, 4, 5, 6)
    judged = verdict('{"rarity": 3, "informativeness": "5/10", "overall_rating": 6}')
    assert judged.criteria[0::2] == (3, 5)
    assert math.isnan(judged.criteria[1])


def test_an_answer_cut_at_its_length_counts_only_if_the_rating_is_whole():
    for end in range(len(GOOD)):
        judged = verdict(GOOD[:end], "length")
        assert judged.outcome in (Outcome.truncated, Outcome.unreadable), GOOD[:end]
    assert verdict(GOOD + " and I think", "length").rating == 6


@pytest.mark.parametrize(
    "text",
    [
        '{"overall_rating"' + " " * 60_000,
        '{"a":' * 12_000,
        "{" * 60_000,
        '{"a": [' * 8_000,
        "{" + "a" * 60_000,
    ],
)
def test_long_answers_take_no_long_time(text):
    started = time.process_time()
    assert not verdict(text).outcome.rated
    assert time.process_time() - started < 2  # quadratic: minutes


@given(st.text() | st.text(alphabet='{}[]":,0123456789 overallrating_\\/.-'))
def test_no_text_breaks_the_parser_and_no_rating_leaves_the_scale(text):
    judged = verdict(text)
    assert judged.outcome.rated == (1 <= judged.rating <= 10)


@given(
    st.fixed_dictionaries({name: st.integers(1, 10) | st.floats(1, 10) for name in PAPER.keys}),
    st.text(alphabet=st.characters(exclude_characters="{}")),
    st.text(alphabet=st.characters(exclude_characters="{}")),
    st.randoms(),
)
def test_a_json_object_is_read_in_any_order_and_whatever_stands_around_it(ratings, before, after, rng):
    names = list(ratings)
    rng.shuffle(names)
    written = {name.replace("_", rng.choice("_ -")).title(): ratings[name] for name in names}
    judged = verdict(f"{before}{json.dumps(written)}{after}".replace("</think>", ""))
    assert judged.criteria == tuple(ratings[name] for name in PAPER.keys)


@given(st.lists(st.floats(0, 1), min_size=9, max_size=9).filter(lambda shares: sum(shares) > 0.1))
def test_the_expected_rating_lies_within_its_distribution(shares):
    normal = tuple(share / math.fsum(shares) for share in shares)
    judged = read(Answer("k", "", distribution=normal), Reading.expected)
    likely = [rating for rating, share in enumerate(normal, start=1) if share]
    assert min(likely) - 1e-6 <= judged.rating <= max(likely) + 1e-6


@pytest.mark.parametrize("shares", [None, (1.0,), (0.5,) * 9, (math.nan,) * 9, (2.0, -1.0, *(0.0,) * 7)])
def test_what_is_no_distribution_is_no_rating(shares):
    judged = read(Answer("k", "7", distribution=shares), Reading.expected)
    assert judged.outcome is Outcome.unreadable
