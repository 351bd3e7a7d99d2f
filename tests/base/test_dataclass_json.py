from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import pytest

from ds2.base.dataclass_json import from_plain, to_plain
from ds2.config import EvalConfig, FinetuneConfig, Quantization


class Colour(Enum):
    red = "red"
    green = "green"


@dataclass
class Inner:
    width: int
    ratio: float = 0.5


@dataclass
class Outer:
    name: str
    inner: Inner
    colours: list[Colour] = field(default_factory=list)
    parts: dict[str, Inner] = field(default_factory=dict)
    limit: int | None = None
    threshold: int | float = 1
    path: Path | None = None


def test_a_dataclass_comes_back_equal_through_json() -> None:
    outer = Outer("a", Inner(3, 0.25), [Colour.green], {"x": Inner(1)}, 5, 0.5, Path("a/b"))
    assert from_plain(Outer, json.loads(json.dumps(to_plain(outer)))) == outer


@pytest.mark.parametrize(
    "config",
    [
        FinetuneConfig(name="x", quantization=Quantization.nf4, max_steps=3),
        EvalConfig(name="y", tasks=["a", "b"]),
    ],
)
def test_the_leaves_configs_come_back_equal_through_json(config: FinetuneConfig | EvalConfig) -> None:
    assert from_plain(type(config), json.loads(json.dumps(to_plain(config)))) == config


def test_absent_keys_take_their_defaults() -> None:
    assert from_plain(Inner, {"width": 2}) == Inner(2, 0.5)


def test_an_int_is_accepted_as_a_float_but_not_the_reverse() -> None:
    assert type(from_plain(Inner, {"width": 2, "ratio": 1}).ratio) is float
    with pytest.raises(ValueError, match=r"Inner\.width: expected int, got 2\.5"):
        from_plain(Inner, {"width": 2.5})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"name": "a", "inner": {"width": 1, "hight": 2}}, r"Outer\.inner\.hight: no such field of Inner"),
        ({"name": "a"}, r"Outer\.inner: missing"),
        ({"name": "a", "inner": 3}, r"Outer\.inner: expected the fields of Inner"),
        ({"name": "a", "inner": {"width": True}}, r"Outer\.inner\.width: expected int, got True"),
        ({"name": "a", "inner": {"width": 1}, "colours": ["blue"]}, r"colours\[0\]: 'blue' is not one of"),
        ({"name": "a", "inner": {"width": 1}, "limit": "3"}, r"Outer\.limit: expected int, got '3'"),
    ],
)
def test_a_wrong_key_or_value_is_named(data: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_plain(Outer, data)


def test_a_type_without_plain_form_is_refused() -> None:
    with pytest.raises(TypeError, match="set has no plain form"):
        to_plain({"a": {1, 2}})
