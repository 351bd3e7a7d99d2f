"""Checks of what a person hands to the library: each refuses in one line that names the argument."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds2.base.errors import UserError


def refuse(problems: Sequence[str]) -> None:
    """Raise UserError where there are problems: all of them, in one line."""
    if problems:
        raise UserError("; ".join(problems))


def whole_number(name: str, value: Any, low: int) -> int:
    """`value` as an int of at least `low`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < low:
        raise UserError(f"{name} must be at least {low}, got {value}")
    return int(value)


def number_within(name: str, value: Any, low: float, high: float) -> float:
    """`value` as a float in low..high."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not low <= value <= high:
        raise UserError(f"{name} must be in {low:g}..{high:g}, got {value}")
    return float(value)


def one_of(name: str, value: Any, choices: Iterable[str]) -> None:
    """`value` is one of the words of `choices`."""
    allowed = [str(choice) for choice in choices]
    if not isinstance(value, str):
        raise TypeError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    if value not in allowed:
        raise UserError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def number_array(name: str, values: ArrayLike | Sequence[ArrayLike]) -> NDArray[Any]:
    """`values` as an array of real numbers, of whatever shape, none of them masked."""
    if np.ma.is_masked(values):
        raise UserError(f"{name} hold masked entries, which have no meaning here")
    try:
        array = np.asarray(values)
    except ValueError:
        raise TypeError(f"{name} must be an array: its rows differ in length") from None
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be numbers, got dtype {array.dtype}")
    return array
