"""The evaluation: `results.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ds2.base.json_files import read_json


def read_results(folder: Path) -> dict[str, Any]:
    """`results.json` as the evaluate stage wrote it."""
    results: dict[str, Any] = read_json(folder / "results.json")
    return results
