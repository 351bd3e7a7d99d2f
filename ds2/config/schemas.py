"""Every registered dataclass, as Hydra and the messages of its errors need them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_type_hints

from ds2.base.errors import UserError
from ds2.config.base import SCHEMAS
from ds2.config.run import RunConfig

_SLIP = 0.8
"""How alike (`difflib`) a key is that was meant: a letter or two are wrong."""


def register_schemas() -> None:
    """Give Hydra each group's schemas, by the names YAML starts from. Raises UserError: unknown group."""
    groups: dict[str, type[Any]] = get_type_hints(RunConfig)
    _store(None, "run_schema", RunConfig)
    for group, schemas in SCHEMAS.items():
        for name, schema in schemas.items():
            base = groups.get(group)
            if base is None or not is_dataclass(base):
                raise UserError(f'@register("{group}", "{name}"): there is no group {group}')
            if not issubclass(schema, base):
                raise UserError(f'@register("{group}", "{name}"): {schema.__name__} is no {base.__name__}')
            _store(group, f"{name}_schema", schema)


@cache
def _store(group: str | None, name: str, schema: type[Any]) -> None:
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(group=group, name=name, node=schema)


def field_names(class_name: str) -> list[str]:
    """Fields of a configuration's dataclass, by the class's name; none where it is not known."""
    roots: list[type[Any]] = [
        RunConfig,
        *(schema for schemas in SCHEMAS.values() for schema in schemas.values()),
    ]
    for schema in (part for root in roots for part in _with_parts(root)):
        if schema.__name__ == class_name:
            return [f.name for f in fields(schema)]
    return []


def near_key(key: str) -> str | None:
    """The key that an unknown one is a slip of (`budget.token`: `budget.tokens`), of whatever choice of its
    group; None where none is that near, or where there is such a key.
    """
    *parents, name = key.split(".")
    kinds: list[Any] = [RunConfig]
    for depth, parent in enumerate(parents):
        kinds = [hint for kind in kinds if is_dataclass(hint := get_type_hints(kind).get(parent))]
        kinds += SCHEMAS.get(parent, {}).values() if depth == 0 else ()
    known = {field.name for kind in kinds for field in fields(kind)}
    close = [] if name in known else difflib.get_close_matches(name, sorted(known), 1, cutoff=_SLIP)
    return ".".join([*parents, close[0]]) if close else None


def _with_parts(schema: type[Any]) -> Iterator[type[Any]]:
    """A dataclass and the dataclasses that its fields hold."""
    yield schema
    for hint in get_type_hints(schema).values():
        if is_dataclass(hint) and isinstance(hint, type):
            yield from _with_parts(hint)
