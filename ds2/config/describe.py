"""What can be configured, read from where it is written: a choice's words from the head of its YAML, a
field's from the string beneath it in its dataclass.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from ds2.base.errors import UserError
from ds2.base.yaml_files import check_yaml
from ds2.config import plugins
from ds2.config.base import MISSING as MANDATORY
from ds2.config.base import SCHEMAS
from ds2.config.hydra_errors import yaml_faults
from ds2.config.run import RunConfig


@dataclass(frozen=True)
class FieldDescription:
    """One field that a person can set."""

    name: str
    """With those of the dataclasses around it: `runtime.concurrency`."""
    kind: str
    """Its type, in words: `int`, `list[str]`, or the words of an enumeration."""
    default: str
    """As on the command line; `(given)` where a choice or the person must say it."""
    text: str
    """What it means; empty where its name says it."""


@dataclass(frozen=True)
class ChoiceDescription:
    """One choice of a group: a YAML file."""

    name: str
    package: str
    """What it comes with."""
    command: str
    """An example, as its YAML opens."""
    text: str
    schema: type[Any] | None
    """The dataclass that holds its fields; None where it is a set of choices."""
    values: dict[str, Any]
    """What the YAML sets."""


def groups() -> list[str]:
    """Names of the groups of choices, in the order of the run's configuration."""
    run = [name for name, kind in get_type_hints(RunConfig).items() if is_dataclass(kind)]
    return [name for name in (*run, "experiment", "sweep") if plugins.choices(name)]


def describe_choices(group: str, packages: Sequence[str] | None = None) -> list[ChoiceDescription]:
    """The choices of a group, by name. Raises UserError where there is no such group."""
    known = plugins.choices(group, packages)
    if not known:
        raise UserError(f"there is no group {group}; the groups are: {', '.join(groups())}")
    folders = plugins.conf_folders(packages)
    return [_choice(folders[package], group, name, package) for name, package in known.items()]


def describe_fields(schema: type[Any], prefix: str = "") -> Iterator[FieldDescription]:
    """The fields of a dataclass, those of its nested dataclasses after their own place."""
    hints, words = get_type_hints(schema), _field_words(schema)
    for field in fields(schema):
        kind, name = hints[field.name], prefix + field.name
        if is_dataclass(kind):
            assert isinstance(kind, type)
            yield from describe_fields(kind, f"{name}.")
        else:
            yield FieldDescription(
                name, _kind(kind), _default(field), words.get(field.name) or _of_kind(kind)
            )


def _choice(conf: Path, group: str, name: str, package: str) -> ChoiceDescription:
    file = conf / group / f"{name}.yaml"
    check_yaml(file)
    text = file.read_text(encoding="utf-8")
    head: list[str] = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# @package"):  # Hydra's
            head.append(line.removeprefix("#").strip())
    command = head.pop(0) if head and head[0].startswith(("ds2", "python")) else ""
    with yaml_faults(iter(())):
        values = yaml.safe_load(text) or {}
    bases = [base for base in values.pop("defaults", []) if isinstance(base, str) and base != "_self_"]
    return ChoiceDescription(
        name, package, command, " ".join(" ".join(head).split()), _schema(conf, group, bases), values
    )


def _schema(conf: Path, group: str, bases: Sequence[str]) -> type[Any] | None:
    """The dataclass that a YAML's bases come from, by way of other choices of the group."""
    for base in bases:
        schema = SCHEMAS.get(group, {}).get(base.removesuffix("_schema"))
        if schema is not None and base.endswith("_schema"):
            return schema
        if (conf / group / f"{base}.yaml").is_file():
            return _choice(conf, group, base, "").schema
    return None


def _field_words(schema: type[Any]) -> dict[str, str]:
    """Field -> the string beneath it, of the class and those that it derives from."""
    words: dict[str, str] = {}
    for cls in reversed(schema.__mro__):
        if not is_dataclass(cls):
            continue
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
        assert isinstance(node, ast.ClassDef)
        for before, after in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(before, ast.AnnAssign)
                and isinstance(before.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
            ):
                words[before.target.id] = " ".join(str(after.value.value).split())
    return words


def _kind(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " | ".join(member.name for member in kind)
    return kind.__name__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)


def _of_kind(kind: Any) -> str:
    """What an enumeration says of itself."""
    if not (isinstance(kind, type) and issubclass(kind, Enum)):
        return ""
    own = inspect.getdoc(kind)
    return "" if own in (None, inspect.getdoc(Enum)) else " ".join(str(own).split())


def _default(field: Field[Any]) -> str:
    value = field.default
    if value is MISSING and field.default_factory is not MISSING:
        value = field.default_factory()
    if value is MISSING or value == MANDATORY:
        return "(given)"
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value)
