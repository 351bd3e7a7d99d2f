"""A run's configuration as a record keeps it, and back: plain values, each choice with its kind's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast, get_type_hints

from ds2.base.dataclass_json import from_plain, to_plain
from ds2.base.deprecated import modern_values
from ds2.base.errors import UserError
from ds2.config import plugins
from ds2.config.base import SCHEMAS
from ds2.config.rating import PanelRaterConfig
from ds2.config.run import RunConfig

KIND = "kind"
"""Names the class of a choice among its fields."""


def keep(config: RunConfig) -> dict[str, Any]:
    """The configuration in plain values (JSON-ready)."""
    groups = {f.name: getattr(config, f.name) for f in fields(config)}
    return {name: _kept(value) if is_dataclass(value) else to_plain(value) for name, value in groups.items()}


def _kept(choice: Any) -> dict[str, Any]:
    values = to_plain(choice)
    if isinstance(choice, PanelRaterConfig):
        values["members"] = [_kept(member) for member in choice.members]
    return {KIND: type(choice).__name__, **values}


def restore(kept: Mapping[str, Any]) -> RunConfig:
    """The configuration that `keep` kept; its plugins are imported.

    Raises:
        UserError: this version of DS2 knows no such kind or field, or a plugin cannot be imported.
    """
    kept = modern_values(kept)
    plugins.activate([f"plugins=[{','.join(kept.get('plugins', []))}]"])
    groups = {name for name, value in kept.items() if isinstance(value, Mapping) and KIND in value}
    try:
        plain = from_plain(RunConfig, {name: value for name, value in kept.items() if name not in groups})
        return replace(plain, **{name: _restored(kept[name]) for name in groups})
    except ValueError as error:
        raise UserError(f"this version of DS2 cannot read the kept configuration: {error}") from error


def _restored(kept: Mapping[str, Any]) -> Any:
    schema = _kinds().get(kept[KIND])
    if schema is None:
        raise ValueError(f"there is no kind of choice {kept[KIND]}")
    choice = from_plain(schema, {name: value for name, value in kept.items() if name != KIND})
    if isinstance(choice, PanelRaterConfig):
        return replace(choice, members=[_restored(cast(Mapping[str, Any], m)) for m in choice.members])
    return choice


def _kinds() -> dict[str, type[Any]]:
    """Every class of a choice, by name."""
    known: list[Any] = [schema for schemas in SCHEMAS.values() for schema in schemas.values()]
    known += [hint for hint in get_type_hints(RunConfig).values() if is_dataclass(hint)]
    return {schema.__name__: schema for schema in known}
