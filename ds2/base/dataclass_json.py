"""Dataclasses to plain JSON values and back, exactly: what a child process reads is what its parent held.

Understood types: dataclasses, enums (by value), str, int, float, bool, None, `Any`, `Path`, `list[T]`,
`tuple[T, ...]`, `dict[str, T]` and unions of these (`T | None`); where plain values are held against a type,
TypedDicts, `Mapping[str, T]` and `Sequence[T]` too.

Written here and not taken from a library: fingerprints rest on these very values, so that no release of
another package may change one.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, NotRequired, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

T = TypeVar("T")


_SCALARS = (str, int, float, bool, types.NoneType)


def to_plain(value: Any) -> Any:
    """`value` in dicts, lists, strings, numbers, booleans and None: what `json.dumps` takes.

    Raises TypeError for a type this module does not know.
    """
    kind: Any = type(value)
    if kind in _SCALARS:
        return value
    names = _field_names(kind)
    if names is not None:
        return {name: to_plain(getattr(value, name)) for name in names}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{type(value).__name__} has no plain form")


@cache
def _field_names(kind: type[Any]) -> tuple[str, ...] | None:
    """Of a dataclass; None of any other type. A sweep of 500 runs asks 100,000 times."""
    return tuple(f.name for f in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else None


def from_plain(cls: type[T], data: Mapping[str, Any]) -> T:
    """The dataclass `cls` that `to_plain` turned into `data`; absent keys take the fields' defaults.

    Raises ValueError naming the dotted key where `data` has an unknown key, lacks a required one, or holds a
    value of another type. An int is accepted where a float is asked for.
    """
    built: T = _build(cls, data, cls.__name__)
    return built


def typed(hint: Any, data: Any, where: str) -> Any:
    """A plain value as a type has it, where no dataclass is around it; keys that a TypedDict does not name
    are left alone. Raises ValueError naming what is of another type, from `where` on.
    """
    return _value(hint, data, where)


_hints = cache(get_type_hints)


def _build(cls: Any, data: Any, where: str) -> Any:
    if not isinstance(data, Mapping):
        raise ValueError(f"{where}: expected the fields of {cls.__name__}, got {data!r}")
    hints = _hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}
    unknown = sorted(set(data) - set(fields))
    if unknown:
        raise ValueError(f"{where}.{unknown[0]}: no such field of {cls.__name__}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in data:
            raise ValueError(f"{where}.{name}: missing")
    return cls(**{name: _value(hints[name], item, f"{where}.{name}") for name, item in data.items()})


_EXACT = frozenset((str, int, float, bool, types.NoneType))


@cache
def _parts(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    return get_origin(hint), get_args(hint)


def _value(hint: Any, data: Any, where: str) -> Any:
    if hint is Any or (type(data) is hint and hint in _EXACT):
        return data
    origin, arguments = _parts(hint)
    if origin in (Union, types.UnionType):
        return _union(arguments, data, where)
    if dataclasses.is_dataclass(hint):
        return _build(hint, data, where)
    if is_typeddict(hint) and isinstance(data, Mapping):
        return _fields_of(hint, data, where)
    if origin in (list, tuple, Sequence) and isinstance(data, list | tuple):
        made = tuple if origin is tuple else list
        return made(_value(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(data))
    if origin in (dict, Mapping) and isinstance(data, Mapping):
        plain = arguments[1] is str and {*map(type, data.values())} <= {str}
        if plain or arguments[1] is Any:  # at once: thousands of records each say what is installed
            return dict(data)
        return {key: _value(arguments[1], item, f"{where}.{key}") for key, item in data.items()}
    return _scalar(hint, data, where)


def _fields_of(cls: Any, data: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Of a TypedDict."""
    missing = sorted(_required(cls) - set(data))
    if missing:
        raise ValueError(f"{where}.{missing[0]}: missing")
    hints = _hints(cls)
    return {k: _value(hints[k], v, f"{where}.{k}") if k in hints else v for k, v in data.items()}


@cache
def _required(cls: Any) -> frozenset[str]:
    """Keys of a TypedDict; its own `__required_keys__` cannot read annotations that are kept as text."""
    hints = get_type_hints(cls, include_extras=True)
    return frozenset(name for name, hint in hints.items() if get_origin(hint) is not NotRequired)


def _scalar(hint: Any, data: Any, where: str) -> Any:
    if isinstance(hint, type) and issubclass(hint, Enum):
        allowed = [member.value for member in hint]
        if data in allowed:
            return hint(data)
        raise ValueError(f"{where}: {data!r} is not one of {allowed}")
    if hint is Path and isinstance(data, str):
        return Path(data)
    if hint is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    raise ValueError(f"{where}: expected {getattr(hint, '__name__', hint)}, got {data!r}")


def _union(options: tuple[Any, ...], data: Any, where: str) -> Any:
    if data is None and types.NoneType in options:
        return None
    options = tuple(option for option in options if option is not types.NoneType)
    for option in options[:-1]:
        try:
            return _value(option, data, where)
        except ValueError:
            continue
    return _value(options[-1], data, where)
