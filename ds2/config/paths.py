"""What a person wrote as a path, resolved once: where a command line becomes configurations.

Fields say that they are paths where they are declared (`path_field`, `name_or_path_field`, and a plugin's
`files`). From here on each is absolute, so that nothing depends on the folder in which it is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from ds2.base.dataclass_json import to_plain
from ds2.base.errors import UserError, refuse
from ds2.base.paths import resolved, resolved_files, resolved_name
from ds2.base.words import is_utf8, printable
from ds2.config.base import FILES, NAME_OR_PATH, NAMES_OR_PATHS, PATH, SCHEMAS, Extensible
from ds2.config.run import RunConfig

T = TypeVar("T")


def resolve_all(configs: Sequence[RunConfig]) -> list[RunConfig]:
    """`resolve_paths` of each; groups that several of them share are resolved once. Raises UserError for what
    is no UTF-8.
    """
    known: dict[int, Any] = {}

    def resolve(name: str, group: Any) -> Any:
        if id(group) not in known:
            known[id(group)] = resolve_paths(group)
            refuse_not_utf8(known[id(group)], name)
        return known[id(group)]

    names = [field.name for field in fields(RunConfig)]
    groups = ({name: getattr(config, name) for name in names} for config in configs)
    return [
        RunConfig(**{name: resolve(name, v) if is_dataclass(v) else v for name, v in each.items()})
        for each in groups
    ]


def resolve_paths(config: T) -> T:
    """The configuration with every path absolute; hub names stay as they are."""
    changes: dict[str, Any] = {}
    for name, kind in path_fields(type(config)).items():
        value = getattr(config, name)
        if kind == FILES:
            changes[name] = resolved_files(value)
        elif kind == NAMES_OR_PATHS:
            changes[name] = _resolved_names(value)
        elif isinstance(value, str) and not (kind == NAME_OR_PATH and _served(config)):
            changes[name] = resolved(value) if kind == PATH else resolved_name(value)
    for field in fields(config):  # type: ignore[arg-type]
        value = getattr(config, field.name)
        if is_dataclass(value):
            changes[field.name] = resolve_paths(value)
        elif isinstance(value, list) and value and all(map(is_dataclass, value)):  # a panel's raters
            changes[field.name] = [resolve_paths(each) for each in value]
    return replace(config, **changes)  # type: ignore[type-var]


def refuse_not_utf8(config: Any, key: str = "") -> None:
    """Raises UserError where a value, or the name of a file, is no UTF-8, which a record could not hold."""
    refuse([UserError(line) for line in _not_utf8(to_plain(config), key)])


def _not_utf8(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _not_utf8(each, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list):
        for each in value:
            yield from _not_utf8(each, key)
    elif isinstance(value, str) and not is_utf8(value):
        yield f"{printable(key)}={printable(value)} is not UTF-8, in which records are written"


def _resolved_names(value: Any) -> Any:
    """Names as they stand, files as `resolved` gives them: a folder of that name is none."""
    if isinstance(value, list):
        return [_resolved_names(str(each)) for each in value]
    if not isinstance(value, str):
        return value
    is_path = value.startswith(("~", "/", "./", "../")) or Path(resolved(value)).is_file()
    return resolved(value) if is_path else value


def path_fields(schema: type[Any]) -> dict[str, str]:
    """Name of a field -> what kind of path it takes."""
    kinds = {f.name: str(f.metadata[PATH]) for f in fields(schema) if PATH in f.metadata}
    files = schema.files if issubclass(schema, Extensible) else ()
    return {name: PATH for name in files} | kinds


def path_keys() -> set[str]:
    """Every `group.field` of the command line that takes a path."""
    hints = get_type_hints(RunConfig)
    roots = [(group, schema) for group, schemas in SCHEMAS.items() for schema in schemas.values()]
    roots += [(name, hint) for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)]
    return {key for group, schema in roots for key in _keys(group, schema)}


def _keys(prefix: str, schema: type[Any]) -> Iterator[str]:
    yield from (f"{prefix}.{name}" for name in path_fields(schema))
    for name, hint in get_type_hints(schema).items():
        if isinstance(hint, type) and is_dataclass(hint):
            yield from _keys(f"{prefix}.{name}", hint)


def _served(config: object) -> bool:
    """A served model's name is the server's word, never a folder here."""
    return bool(getattr(getattr(config, "backend", None), "served", False))
