"""The fields of a row, by whatever case their names are written in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class Fields(Mapping[str, Any]):
    """A row's fields that hold something, by their names in lower case."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._raw = raw
        self._names = {str(key).strip().lower(): key for key, value in raw.items() if value is not None}

    def __getitem__(self, name: str) -> Any:
        return self._raw[self._names[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def name(self, name: str) -> str:
        """As the row spells it."""
        return self._names.get(name, name)

    def first(self, names: tuple[str, ...], *, but: tuple[str | None, ...] = ()) -> str | None:
        """The first of the names that the row has."""
        return next((name for name in names if name in self._names and name not in but), None)
