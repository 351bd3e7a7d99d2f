"""A person's own criteria: validated before the first request, asked for, read and kept under their names."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from helpers.fake_backend import FakeBackend, llm, pool_of

from ds2.artifacts.ratings import read_ratings, write_ratings
from ds2.base.errors import UserError
from ds2.config import Reading, ScaleConfig
from ds2.config.compose import compose
from ds2.models.chat import Answer
from ds2.rating import by_model, prompt
from ds2.rating.parse import read
from ds2.rating.rubric import PAPER, rubric_of
from ds2.runs.chain import Chain

OWN = """\
task: You assess answers of a help desk.
criteria:
  tone: How friendly the answers are.
  correctness: How right they are.
  worth: How good an example it is, taken together.
scale: [1, 5]
examples:
  - messages: [{role: user, content: "Where is it?"}, {role: assistant, content: No idea.}]
    ratings: {tone: 2, correctness: 1, worth: 1}
"""
SCALE = ScaleConfig(1, 5)


@pytest.fixture
def own(tmp_path: Path) -> str:
    path = tmp_path / "criteria.yaml"
    path.write_text(OWN)
    return str(path)


def test_own_criteria_are_asked_for_read_and_kept_under_their_names(own, tmp_path, monkeypatch):
    asked: list[str] = []
    answer = '{"tone": 3, "correctness": 2, "worth": 4}'
    FakeBackend(lambda request, times: asked.append(request.chat[0]["content"]) or answer).install(
        monkeypatch
    )
    pool = pool_of(["one", "two"])
    rated = by_model.rate(
        llm(prompt=own), pool, SCALE, model={}, revision=None, folder=tmp_path / "log", progress=False
    )
    assert rated.ratings.tolist() == [4, 4]
    assert rated.scores.tolist() == [3, 3]
    assert asked[0].startswith(
        "You assess answers of a help desk. Judge it by these criteria:\n\n- tone: How"
    )
    assert '{"tone": 2, "correctness": 1, "worth": 1}' in asked[0]
    assert "from 1 (lowest) to 5 (highest)" in asked[0]
    write_ratings(tmp_path, pool, rated)
    table = read_ratings(tmp_path)
    assert table["tone"].tolist() == [3, 3]
    assert table["correctness"].tolist() == [2, 2]
    assert "rarity" not in table.columns


def test_the_scale_of_the_rubric_bounds_an_answer(own):
    rubric = rubric_of(own)
    ratings = [
        read(Answer("", text), Reading.answer, rubric).rating
        for text in ('{"worth": 5}', '{"worth": 6}', "Worth: 4/5", "Worth: 4/10", "Overall rating: 3")
    ]
    assert [None if math.isnan(rating) else rating for rating in ratings] == [5, None, 4, None, 3]
    schema = prompt.answer_schema(rubric)
    assert schema["properties"]["worth"]["enum"] == [1, 2, 3, 4, 5]


def test_the_expected_rating_is_read_on_the_rubric_s_digits(own):
    rubric = rubric_of(own)
    assert prompt.answer_form(Reading.expected, rubric).tokens == "12345"
    answer = Answer("", "4", distribution=(0, 0, 0, 0.5, 0.5))
    assert read(answer, Reading.expected, rubric).rating == 4.5
    assert "Give only worth, as one digit from 1 (lowest) to 5" in prompt.instructions(
        Reading.expected, 1, rubric
    )


def test_the_paper_s_criteria_stay_the_default():
    assert rubric_of(None) is PAPER
    assert PAPER.keys == ("rarity", "complexity", "informativeness", "overall_rating")
    assert PAPER.digits == "123456789"


def test_what_a_rubric_says_is_identity_and_where_it_is_is_not(own, tmp_path):
    moved, other = tmp_path / "moved.yaml", tmp_path / "other.yaml"
    moved.write_text(f"# a comment\n{OWN}")
    other.write_text(OWN.replace("friendly", "brief"))

    def fingerprint(*more: str) -> str:
        base = ["rater=openai_compatible", "rater.model=m", "until=rate", "pool.samples=20", "tracking=none"]
        return Chain(compose([*base, "scale.low=1", "scale.high=5", *more])).fingerprint

    one = fingerprint(f"rater.prompt={own}")
    assert one == fingerprint(f"rater.prompt={moved}")
    assert len({one, fingerprint(f"rater.prompt={other}"), fingerprint()}) == 3


WRONG = {
    "- a list": "give task, criteria, scale and examples",
    "criteria: {}": "criteria are names",
    "criteria: {good: ''}": "criterion good: say what it means",
    "criteria: {'not good': x}": "criterion 'not good': a name is letters",
    "criteria: {score: x, good: y}": "criterion score: the table of ratings has a column",
    "criteria: {a_b: x, AB: y}": "two criteria have the same name",
    "criteria: {good: x}\nscale: 5": r"scale is \[LOWEST, HIGHEST\]",
    "criteria: {good: x}\nscale: [5, 1]": r"scale is \[LOWEST, HIGHEST\]",
    "criteria: {good: x}\ncriterion: y": "criterion is no part of it; there are: criteria, examples",
    "criteria: {good: x}\nexamples: [{messages: [], ratings: {}}]": "example 1: messages are a list",
    "criteria: {good: x}\nexamples: [{messages: [{role: user, content: q}], ratings: {good: 11}}]": "within",
    "criteria: {good: x}\nexamples: [{messages: [{role: user, content: q}], ratings: {bad: 1}}]": "name good",
    "criteria: [": "line 1: no YAML",
    "criteria: &a [*a]": "line 1: .*names nothing that stands before it",
}


@pytest.mark.parametrize(("text", "message"), WRONG.items(), ids=range(len(WRONG)))
def test_a_rubric_that_cannot_be_used_is_one_line_before_anything_is_asked(
    tmp_path, monkeypatch, text, message
):
    backend = FakeBackend(lambda request, times: "{}").install(monkeypatch)
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        by_model.rate(
            llm(prompt=str(path)), pool_of(["one"]), SCALE, model={}, revision=None, folder=tmp_path,
            progress=False,
        )  # fmt: skip
    assert str(caught.value).startswith(f"rater.prompt={path}")
    assert not backend.asked


def test_a_scale_that_lies_outside_the_rubric_s_says_what_to_give(own, tmp_path):
    with pytest.raises(
        UserError, match=r"ratings 1..5, scale.low=4 and scale.high=9 .* scale.low=1 scale.high=5"
    ):
        by_model.check(llm(prompt=own), ScaleConfig())
    with pytest.raises(UserError, match="cannot be read: No such file"):
        by_model.check(llm(prompt=str(tmp_path / "none.yaml")), SCALE)
