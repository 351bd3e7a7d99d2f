"""Shared by every group: the mark of a missing value, the register of schemas, the seam for plugins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any, ClassVar, TypeVar

from ds2.base.errors import UserError

T = TypeVar("T")

MISSING: Any = "???"
"""OmegaConf's mark of a value that the person must give."""

SCHEMAS: dict[str, dict[str, type[Any]]] = {}
"""Group -> name -> dataclass. A YAML of the group starts from it as `NAME_schema`."""


PATH, NAME_OR_PATH, NAMES_OR_PATHS, FILES = "path", "name or path", "names or paths", "files"
"""Kinds of fields in their metadata: see `ds2.config.paths`."""
COST = "cost"
"""In the metadata of a field that says what something takes: see `ds2.config.numbers`."""


def path_field(default: Any = MISSING) -> Any:
    """A field that names a file or folder: made absolute where the configuration is made."""
    return field(default=default, metadata={PATH: PATH})


def name_or_path_field(default: Any = MISSING) -> Any:
    """A field that takes a name on the hub or a local folder."""
    return field(default=default, metadata={PATH: NAME_OR_PATH})


def names_or_paths_field() -> Any:
    """A field that takes a name or a local file, or a list of them; None by default."""
    return field(default=None, metadata={PATH: NAMES_OR_PATHS})


def files_field() -> Any:
    """A field that takes a path or a list of them, `-` (standard input) or an address (`hf://...`)."""
    return field(default=MISSING, metadata={PATH: FILES})


def cost_field(default: float | None = None) -> Any:
    """A field that says what something takes or may take (operations, dollars, seconds): at least 0."""
    return field(default=default, metadata={COST: True})


def register(group: str, name: str) -> Callable[[type[T]], type[T]]:
    """Let YAML files of a group start from the decorated dataclass: `defaults: [NAME_schema, _self_]`.

    Raises:
        UserError: it is no dataclass, or another class of the group has that name.
    """

    def add(schema: type[T]) -> type[T]:
        where = f'@register("{group}", "{name}")'
        if "__dataclass_fields__" not in vars(schema):  # its own: a base class may be one
            raise UserError(f"{where} stands above @dataclass, and {schema.__name__} is none")
        known: type[Any] = SCHEMAS.setdefault(group, {}).setdefault(name, schema)
        if (known.__module__, known.__qualname__) != (schema.__module__, schema.__qualname__):
            raise UserError(f"{where}: {known.__module__}.{known.__qualname__} has that name already")
        SCHEMAS[group][name] = schema
        return schema

    return add


class Extensible:
    """A choice that can name the code that does its work: how plugins add to a group."""

    implementation: ClassVar[str | None] = None
    """Who does the work: `package.module:function`, of a strategy its module; None: DS2, by the class."""
    stage_version: ClassVar[int] = 1
    """Raised by hand when the implementation starts to give another result for the same fields."""
    files: ClassVar[tuple[str, ...]] = ()
    """Fields that are paths: their content is identity, not their name."""

    @property
    def package(self) -> str | None:
        """The package of the implementation."""
        return self.implementation.partition(":")[0].partition(".")[0] if self.implementation else None

    def implementation_identity(self) -> dict[str, Any]:
        """What the implementation adds to the identity of its artifacts; nothing for DS2's own kinds."""
        return {"package": self.package, "stage_version": self.stage_version} if self.implementation else {}
