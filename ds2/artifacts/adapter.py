"""The adapter: `adapter/` (PEFT, tokenizer), `curve.parquet`, `metrics.json`.

`curve.parquet`: step, epoch, loss, learning_rate, tokens_per_second.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ds2.base.json_files import read_json


def weights(folder: Path) -> Path:
    """The folder that PEFT loads."""
    return folder / "adapter"


def read_metrics(folder: Path) -> dict[str, Any]:
    """Counts and times of the training."""
    metrics: dict[str, Any] = read_json(folder / "metrics.json")
    return metrics
