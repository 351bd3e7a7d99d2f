"""Selection by what a language model says of the samples: one dataclass a strategy, as in `selection`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

from ds2.base.dataclass_json import to_plain
from ds2.config.base import name_or_path_field, path_field, register
from ds2.config.selection import FilteredSelectionConfig


@dataclass
class ModelRuntime:
    device: str = "auto"
    batch_size: int = 8
    """Texts per forward pass."""
    threads: int | None = None
    """CPU threads; none: torch's choice."""


@dataclass
class MeasuredSelectionConfig(FilteredSelectionConfig):
    """A strategy that asks a language model first (stage `measure`, shared by every budget)."""

    scorer: str | None = name_or_path_field(None)
    """The model that measures: hub name or folder. None: the run's base model."""
    scorer_revision: str | None = None
    max_tokens: int = 2048
    """Longer samples are cut, at the end."""
    dtype: str = "float32"
    """Type of the model's weights: float32, bfloat16 or float16."""
    runtime: ModelRuntime = field(default_factory=ModelRuntime)

    reads: ClassVar[frozenset[str]] = frozenset({"measure"})
    measured: ClassVar[tuple[str, ...]] = ("scorer", "scorer_revision", "max_tokens", "dtype", "runtime")

    @property
    def measures_with_base_model(self) -> bool:
        return self.scorer is None

    def measure_identity(self) -> dict[str, Any]:
        """What the measurement depends on beside the content of the model and of the target."""
        names = (n for n in self.measured if n not in ("runtime", "scorer", "scorer_revision"))
        asked = {"measure": self.strategy} | self.implementation_identity()
        return asked | {name: to_plain(getattr(self, name)) for name in names}


class Band(Enum):
    low = "low"
    middle = "middle"
    """Nearest to the pool's median, in logarithms."""
    high = "high"


@register("selection", "perplexity_selection")
@dataclass
class PerplexitySelectionConfig(MeasuredSelectionConfig):
    """By perplexity of the answers under a given model."""

    band: Band = Band.high


@register("selection", "ifd_selection")
@dataclass
class IfdSelectionConfig(MeasuredSelectionConfig):
    """Instruction-following difficulty (arXiv 2308.12032, 2402.00530)."""


@register("selection", "rds_plus_selection")
@dataclass
class RdsPlusSelectionConfig(MeasuredSelectionConfig):
    """Nearest to a target set in a model's hidden states (arXiv 2503.01807)."""

    target: str = path_field()
    """Conversations to be near to: a file that a pool could be (JSONL, JSON, Parquet)."""

    measured: ClassVar[tuple[str, ...]] = (*MeasuredSelectionConfig.measured, "target")


@register("selection", "less_selection")
@dataclass
class LessSelectionConfig(MeasuredSelectionConfig):
    """By LoRA-gradient influence on a target set (arXiv 2402.04333; the defaults are that paper's)."""

    target: str = path_field()
    """Conversations to do well on: a file that a pool could be; its sources are the subtasks."""
    warmup_share: float = 0.05
    """Share of the pool that the warm-up trains on."""
    warmup_seed: int = 0
    """Seed of the warm-up's draw and order, LoRA's initial values and the projection."""
    epochs: int = 4
    """Epochs of the warm-up; each ends in a checkpoint."""
    batch: int = 32
    """Samples per optimiser step of the warm-up."""
    learning_rate: float = 2e-5
    rank: int = 128
    alpha: int = 512
    target_modules: list[str] = field(default_factory=lambda: ["q_proj", "k_proj", "v_proj", "o_proj"])
    projection: int = 8192
    """Numbers that are kept of each gradient."""

    measured: ClassVar[tuple[str, ...]] = (
        *MeasuredSelectionConfig.measured,
        "target", "warmup_share", "warmup_seed", "epochs", "batch", "learning_rate", "rank", "alpha",
        "target_modules", "projection",
    )  # fmt: skip
