"""The adapter: the folder that PEFT loads, with its tokenizer and the mark of its base model.

Curve and metrics lie beside it; with `finetune.merge` also the base model with the adapter folded in.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ds2.artifacts.reading import read_dataclass
from ds2.artifacts.training import compute_of, read_curve, read_metrics, write_curve, write_metrics
from ds2.base.dataclass_json import to_plain
from ds2.base.json_files import read_json, write_json
from ds2.base.paths import resolved_name

__all__ = [
    "BaseMark", "compute_of", "merged", "read_curve", "read_metrics", "settle", "weights", "write_curve",
    "write_metrics",
]  # fmt: skip

CHECKPOINTS = "checkpoints"
"""Folder of what an interrupted training goes on from."""
_MARK = "base.json"
_CONFIG = "adapter_config.json"
_BASE = "base_model_name_or_path"


def weights(folder: Path) -> Path:
    """The folder that PEFT loads."""
    return folder / "adapter"


def merged(folder: Path) -> Path:
    """The folder of the merged model, which transformers loads."""
    return folder / "merged"


NOT_RESULTS = {f"{weights(Path()) / _CONFIG}": frozenset({_BASE})}
"""File -> keys that tell where the base model is, not what came out."""


def settle(adapter: Path, base_model: str) -> None:
    """Make the folder that PEFT loads the same for the same training: names of layers in order, and the base
    model by a name that loads from any folder.
    """
    path = adapter / _CONFIG
    config = read_json(path)
    for key in ("target_modules", "target_parameters"):
        if isinstance(config.get(key), list):
            config[key] = sorted(config[key])
    config[_BASE] = resolved_name(base_model)
    write_json(path, config)


@dataclass(frozen=True)
class BaseMark:
    """Which base model an adapter belongs to: among the adapter's files, so that a copy of them keeps it."""

    name: str
    """Name on the hub, absolute path of a local folder, or the short name of a model that a run made."""
    digest: str
    """See `ds2.models.digest`."""

    def write(self, adapter: Path) -> None:
        """Put the mark into the folder that PEFT loads."""
        write_json(adapter / _MARK, to_plain(self))

    @classmethod
    def read(cls, adapter: Path) -> BaseMark | None:
        """The mark in the folder that PEFT loads; None where it has none. Raises DamagedArtifact."""
        path = adapter / _MARK
        return read_dataclass(cls, path) if path.is_file() else None
