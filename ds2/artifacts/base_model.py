"""A base model made on the spot: `model/` (weights, tokenizer), `curve.parquet` (step, loss), `metrics.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ds2.base.json_files import write_json


def weights(folder: Path) -> Path:
    """The folder that transformers loads."""
    return folder / "model"


def write(
    folder: Path, metrics: Mapping[str, Any], curve: Sequence[Mapping[str, float]] | None = None
) -> None:
    """Metrics and, of a pre-training, its curve, beside the weights."""
    if curve is not None:
        pd.DataFrame(curve).to_parquet(folder / "curve.parquet", index=False)
    write_json(folder / "metrics.json", metrics)
