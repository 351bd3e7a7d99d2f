"""A base model made on the spot: the folder that transformers loads, metrics, and a pre-training's curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ds2.artifacts.training import CURVE_COLUMNS, write_curve, write_metrics


def weights(folder: Path) -> Path:
    """The folder that transformers loads: weights and tokenizer."""
    return folder / "model"


def write(
    folder: Path, metrics: Mapping[str, Any], curve: Sequence[Mapping[str, float]] | None = None
) -> None:
    """Metrics and, of a pre-training, its curve (one {"step", "loss"} a logged step), beside the weights."""
    if curve is not None:
        write_curve(folder, {name: [point[name] for point in curve] for name in CURVE_COLUMNS})
    write_metrics(folder, metrics)
