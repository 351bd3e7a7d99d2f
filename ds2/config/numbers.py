"""Every number of a configuration, looked at where it is made: none is nan or inf, and no cost is negative.

What a stage takes of a number (a share, at least 1) it checks itself. These two hold wherever one stands, a
plugin's fields too: nothing here means infinity, for `null` says "no limit", and records could not hold it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from ds2.config.base import COST


def number_problems(config: Any, where: str = "") -> Iterator[str]:
    """What is wrong with the numbers of a configuration's dataclass, a line each that names the key.

    Args:
        where: what stands before the names of its fields, such as `rater.`.
    """
    for field in fields(config):
        yield from _problems(getattr(config, field.name), f"{where}{field.name}", COST in field.metadata)


def _problems(value: Any, key: str, cost: bool) -> Iterator[str]:
    if is_dataclass(value):
        yield from number_problems(value, f"{key}.")
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _problems(each, f"{key}.{name}", cost)
    elif isinstance(value, list | tuple):
        for at, each in enumerate(value):
            yield from _problems(each, f"{key}.{getattr(each, 'name', at)}", cost)
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{key}={value:g} must be a finite number"
    elif isinstance(value, float) and cost and value < 0:
        yield f"{key}={value:g} must be at least 0: it says what something takes"
