"""Names that go: configuration keys, choices, and names of the library.

What is renamed or removed is listed in `DEPRECATED`, and works for one release more: it is taken as what
replaces it, with a `DeprecatedName` warning that names both. A test fails once a release reaches `until`:
then the line goes, and the old name is refused as any unknown one is.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_LIBRARY = "ds2."


class DeprecatedName(FutureWarning):
    """An old name was used: shown by default, for it is the user's own text that has to change."""


@dataclass(frozen=True)
class Deprecation:
    """One name that goes."""

    old: str
    """A key (`curation.solver`), a choice (`rater=gpt4`), or a name of the library (`ds2.choose`)."""
    new: str | None
    """What replaces it, of the same sort; None: nothing does, and what is given is left out."""
    until: str
    """The release that knows the old name no more."""

    @property
    def warning(self) -> str:
        """The line for a person."""
        instead = f"write {self.new}" if self.new else "it has no effect, leave it out"
        return f"{self.old} is deprecated and goes in {self.until}: {instead}"


DEPRECATED: tuple[Deprecation, ...] = ()
"""All of them. Nothing was renamed since 0.1.0."""


def modern(overrides: Sequence[str]) -> list[str]:
    """Overrides (`key=value`) with the names of today; warns of each old one."""
    return [new for new in map(_modern, overrides) if new is not None]


def _modern(override: str) -> str | None:
    start = override[: len(override) - len(override.lstrip("+~"))]
    key, equals, value = override[len(start) :].partition("=")
    for each in DEPRECATED:
        group, choice, old = each.old.partition("=")
        if choice and key == group and old in value.split(","):
            _warn(each)
            new = each.new.partition("=")[2] if each.new else None
            named = [new if part == old else part for part in value.split(",")]
            kept = [part for part in named if part is not None]
            return f"{start}{key}={','.join(kept)}" if kept else None
        if not choice and (key == each.old or key.startswith(f"{each.old}.")):
            _warn(each)
            return (
                None if each.new is None else f"{start}{each.new}{key.removeprefix(each.old)}{equals}{value}"
            )
    return override


def modern_values(kept: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration of nested values, as an older release kept it, with the keys of today; nobody typed
    them, so that nothing is said.
    """
    values = copy.deepcopy(dict(kept))
    for each in DEPRECATED:
        if "=" in each.old or each.old.startswith(_LIBRARY):
            continue
        *path, name = each.old.split(".")
        place = _at(values, path)
        if place is not None and name in place:
            value = place.pop(name)
            *new_path, new_name = (each.new or "").split(".")
            new_place = _at(values, new_path)
            if each.new and new_place is not None:
                new_place[new_name] = value
    return values


def _at(values: dict[str, Any], path: Sequence[str]) -> dict[str, Any] | None:
    """The mapping there; None where there is none."""
    place: Any = values
    for name in path:
        place = place.get(name) if isinstance(place, dict) else None
    return place if isinstance(place, dict) else None


def library_name(name: str) -> str | None:
    """What a name of the library is called today; warns. None where it is not deprecated, or nothing replaces
    it.
    """
    for each in DEPRECATED:
        if each.old == f"{_LIBRARY}{name}":
            _warn(each, stacklevel=4)
            return each.new.removeprefix(_LIBRARY) if each.new else None
    return None


def _warn(deprecation: Deprecation, stacklevel: int = 2) -> None:
    warnings.warn(deprecation.warning, DeprecatedName, stacklevel=stacklevel)
