"""Choices and fields in words, read from where they are written."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import pytest

from ds2.base.errors import UserError
from ds2.config.base import MISSING, SCHEMAS
from ds2.config.describe import describe_choices, describe_fields, groups


class Kind(Enum):
    """Which one."""

    small = "small"
    large = "large"


class Unsaid(Enum):
    one = "one"


@dataclass
class Inner:
    speed: float = 1.5
    """Metres a
    second."""


@dataclass
class Base:
    name: str = MISSING


@dataclass
class Outer(Base):
    inner: Inner = field(default_factory=Inner)
    kind: Kind = Kind.small
    unsaid: Unsaid = Unsaid.one
    many: list[str] = field(default_factory=lambda: ["a", "b"])
    """Some."""
    limit: int | None = None
    on: bool = True


def test_fields_are_described_by_the_string_beneath_them_their_type_and_default():
    described = {d.name: (d.kind, d.default, d.text) for d in describe_fields(Outer)}
    assert described == {
        "name": ("str", "(given)", ""),
        "inner.speed": ("float", "1.5", "Metres a second."),
        "kind": ("small | large", "small", "Which one."),
        "unsaid": ("one", "one", ""),
        "many": ("list[str]", "['a', 'b']", "Some."),
        "limit": ("int | None", "null", ""),
        "on": ("bool", "true", ""),
    }


@pytest.mark.parametrize("group", groups())
def test_every_choice_opens_with_its_command_and_says_what_it_is(group):
    for choice in describe_choices(group):
        assert choice.command, choice.name
        assert choice.text, choice.name
        if choice.schema is not None:
            assert choice.values.keys() <= {d.name.partition(".")[0] for d in describe_fields(choice.schema)}


def test_a_choice_that_starts_from_another_has_its_fields():
    choices = {choice.name: choice for choice in describe_choices("finetune")}
    assert choices["qlora"].schema is choices["paper"].schema is SCHEMAS["finetune"]["finetune"]


def test_an_unknown_group_is_refused_by_name():
    with pytest.raises(UserError, match=r"no group raters; the groups are: pool, rater"):
        describe_choices("raters")
