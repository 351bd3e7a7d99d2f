"""JSON files for people and programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def write_json(path: Path, value: Any) -> None:
    """JSON with NaN refused, readable by a person."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def read_json(path: Path) -> Any:
    """The value in a JSON file. Raises ValueError where it is cut off or no JSON."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line."""
    with path.open("w", encoding="utf-8") as lines:
        for row in rows:
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
