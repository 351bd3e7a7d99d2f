"""What every stage that trains leaves beside its weights: the curve and the metrics.

The curve has one row a logged step: step (int64), loss; of a fine-tuning also epoch and learning_rate. How
fast it went is told by the metrics alone: the curve of the same training is the same file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ds2.artifacts.reading import damaged, read_object, read_table
from ds2.base.json_files import write_json
from ds2.models import flops
from ds2.models.compute import Compute

if TYPE_CHECKING:
    import pandas as pd

_CURVE, _METRICS = "curve.parquet", "metrics.json"
CURVE_COLUMNS = ("step", "loss")
"""Those that every curve has."""
NOT_RESULTS = {
    _METRICS: frozenset({
        "wall_seconds", "seconds", "cpu_seconds", "tokens_per_second", "flops_per_second", "mfu",
        "peak_memory_bytes", "resumed_from_step", "device",
    })
}  # fmt: skip
"""File -> keys that tell of the machine and of the moment, not of what came out."""


def write_curve(folder: Path, columns: Mapping[str, Sequence[float]]) -> None:
    """The curve, from its columns."""
    import pandas as pd

    pd.DataFrame(columns).to_parquet(folder / _CURVE, index=False)


def read_curve(folder: Path) -> pd.DataFrame | None:
    """The curve, a row a logged step; None where the stage did not train (a tiny model). Raises
    DamagedArtifact.
    """
    path = folder / _CURVE
    if not path.is_file():
        return None
    table = read_table(path)
    for name in CURVE_COLUMNS:
        if name not in table:
            raise damaged(path, f"no column {name}")
    return table


def compute_of(metrics: Mapping[str, Any]) -> Compute:
    """What a fine-tuning took, from its metrics: 6 N D, whatever is trained."""
    base = int(metrics["parameters"]) - int(metrics["trainable_parameters"])
    tokens = int(metrics["tokens"])
    return Compute(tokens, flops.training(base, tokens), device=str(metrics.get("device", "cpu")))


def write_metrics(folder: Path, metrics: Mapping[str, Any]) -> None:
    """Counts and times: numbers and words by name, some of them nested. Raises ValueError for a number that
    is not finite.
    """
    write_json(folder / _METRICS, metrics)


def read_metrics(folder: Path) -> dict[str, Any]:
    """The same. Raises DamagedArtifact."""
    return read_object(folder / _METRICS)
