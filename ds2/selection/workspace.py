"""Where a strategy that asks a language model keeps what it has finished, and who works for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ds2.base.engine import HERE, Engine
from ds2.models.compute import Meter


@dataclass(frozen=True)
class Workspace:
    """Folders of one measurement, made by who fills them; an interrupted one goes on from what is there."""

    parts: Path
    """Values of some samples each; removed when all are there."""
    warm_up: Path
    """LESS: the warm-up's checkpoints; they stay."""
    directions: Path
    """LESS: projected directions, a folder a checkpoint; they stay."""
    engine: Engine = HERE
    """Who computes the parts."""
    meter: Meter = field(default_factory=Meter)
    """Told what the model reads and trains on; one that is told nothing knows nothing."""
