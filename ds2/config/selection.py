"""Selection: one dataclass a strategy, so that another strategy's field is refused.

Everything here is identity: it enters the fingerprint of the `select` step, except a value that is the
default of one of the cross-cutting options (`OPTIONAL`), which changes nothing and therefore leaves the
fingerprint as it is without it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, ClassVar

from ds2.base.dataclass_json import to_plain
from ds2.config.base import MISSING, Extensible, cost_field, path_field, register
from ds2.method.choices import CurationMethod


class Score(Enum):
    given = "given"
    """The rater's own scores: the rate artifact's."""
    curated = "curated"
    """The curation artifact's integer scores."""
    posterior_mean = "posterior_mean"
    """Expected true score under the posterior."""


class ExportForm(Enum):
    llama_factory = "llama_factory"
    axolotl = "axolotl"
    trl = "trl"
    open_instruct = "open_instruct"
    openai = "openai"
    """OpenAI's fine-tuning."""
    hf = "hf"
    """A folder for `datasets.load_dataset`."""

    @property
    def holds_scores(self) -> bool:
        """Whether its rows have room for more than the conversation."""
        return self is not ExportForm.openai


@register("selection", "selection")
@dataclass
class SelectionConfig(Extensible):
    """What every selection has; a strategy's own fields stand in its subclass."""

    name: str = MISSING
    """Short name used in slugs, run names and tables."""
    strategy: str = MISSING
    """A module of `ds2/selection/strategies/`."""
    curation: CurationMethod | None = None
    """The curation this choice presumes; any other is refused before anything runs. None: any."""
    rater: str | None = None
    """The rater this choice presumes (`truth` for the oracle). None: any."""
    export: list[ExportForm] = field(default_factory=list)
    """Trainers for which the subset is also written, each in its own form (stage `export`): llama_factory,
    axolotl, trl, open_instruct, openai, hf.
    """
    export_scores: bool = False
    """Exports hold scores and the reason of each choice too."""
    flops: float | None = cost_field()
    """Floating-point operations that its own numbers took, where nothing tells: numbers from elsewhere, a
    plugin that asks a model. For costs and `budget.flops` only; 0: they count as free."""

    reads: ClassVar[frozenset[str]] = frozenset()
    """The stages whose artifacts the strategy always reads beside the pool."""
    measured: ClassVar[tuple[str, ...]] = ()
    """Fields that belong to its measurement: identity of stage `measure`, not of `select`."""

    @property
    def needs(self) -> frozenset[str]:
        """The stages whose artifacts this configuration reads directly."""
        return self.reads

    @property
    def budgeted(self) -> bool:
        """Whether the budget applies."""
        return False

    @property
    def seeded(self) -> bool:
        """Whether `seed` can change what is chosen."""
        return False

    @property
    def measures_with_base_model(self) -> bool:
        """Whether the run's base model is asked before anything is selected."""
        return False

    @property
    def borrows(self) -> bool:
        """Whether it goes by numbers that were computed elsewhere, at a cost that only `flops` tells."""
        return False

    def identity(self, *, budget: float, seed: int) -> dict[str, Any]:
        """What the choice depends on beside the artifacts and files it reads."""
        common = {f.name for f in fields(SelectionConfig)}
        left_out, default = {*common, *self.measured, *self.files}, type(self)()
        values: dict[str, Any] = {"strategy": self.strategy} | self.implementation_identity()
        for name in (f.name for f in fields(self) if f.name not in left_out):
            value = getattr(self, name)
            if name not in OPTIONAL or value != getattr(default, name):
                values[name] = to_plain(value)
        if self.budgeted:
            values["budget"] = float(budget)
        if self.seeded:
            values["seed"] = seed
        return values


@dataclass
class SourceQuota:
    source: str = MISSING
    samples: float = MISSING
    """Exactly so many of the subset, or, below 1, such a share of the budget."""


@dataclass
class FilterConfig:
    """What may enter the subset, whatever the strategy."""

    source_cap: float | None = None
    """The most that any one source may have in the subset: samples, or, below 1, a share of the budget."""
    source_quota: list[SourceQuota] = field(default_factory=list)
    """Sources with a fixed part of the subset, `[{source: dolly, samples: 0.25}]`; the rest comes from the
    others.
    """
    near_duplicates: float | None = None
    """Cosine similarity from which two samples count as one; the earlier row stays. None: off."""


@register("selection", "filtered_selection")
@dataclass
class FilteredSelectionConfig(SelectionConfig):
    """A strategy that takes a budget and so can be filtered."""

    filter: FilterConfig = field(default_factory=FilterConfig)

    @property
    def needs(self) -> frozenset[str]:
        near_duplicates = self.filter.near_duplicates is not None
        return super().needs | (frozenset({"knn", "embed"}) if near_duplicates else frozenset())

    @property
    def budgeted(self) -> bool:
        return True


@register("selection", "random_selection")
@dataclass
class RandomSelectionConfig(FilteredSelectionConfig):
    """A random draw."""

    @property
    def seeded(self) -> bool:
        return True


@dataclass
class ScoredSelectionConfig(FilteredSelectionConfig):
    """A strategy that ranks by a rater's score."""

    score: Score = Score.curated
    """Which score: as given (stage `rate`), curated, or the posterior mean (stage `curate`)."""
    length_partialled: bool = False
    """Rank by what the length of the conversation does not predict: the residual of the score on log
    length.
    """

    @property
    def needs(self) -> frozenset[str]:
        return super().needs | {"rate" if self.score is Score.given else "curate"}


@register("selection", "ds2_selection")
@dataclass
class Ds2SelectionConfig(ScoredSelectionConfig):
    """The paper's order (section 4.3)."""

    diversity: bool = True
    """Break ties of equal score by the long-tail score; otherwise by a seeded shuffle."""

    reads: ClassVar[frozenset[str]] = frozenset({"curate"})

    @property
    def seeded(self) -> bool:
        return not self.diversity


class Diversity(Enum):
    none = "none"
    """Quality alone."""
    long_tail = "long_tail"
    """Rare samples count more, by `diversity_weight`; the subset's report shows what that costs."""
    cover = "cover"
    """The best subset that stands for the share `cover` of the pool."""


@register("selection", "refined_selection")
@dataclass
class RefinedSelectionConfig(FilteredSelectionConfig):
    """The rater's score, equal ones by the rater's own student: the order that `curation=refine` gives."""

    diversity: Diversity = Diversity.none
    """What else a sample is worth being chosen for. Near-duplicates and sources are limited by `filter`."""
    diversity_weight: float = 0.1
    """Weight of diversity beside quality, 0 to 1, both as shares of the pool that lie below a sample."""
    cover: float = 0.5
    """Share of the pool to stand for: samples that are chosen, or have a chosen one among their ten nearest
    neighbours.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"curate"})

    @property
    def needs(self) -> frozenset[str]:
        return super().needs | (frozenset({"knn"}) if self.diversity is Diversity.cover else frozenset())

    def identity(self, *, budget: float, seed: int) -> dict[str, Any]:
        values = super().identity(budget=budget, seed=seed)
        if self.diversity is not Diversity.long_tail:
            del values["diversity_weight"]
        if self.diversity is not Diversity.cover:
            del values["cover"]
        return values


class LengthOf(Enum):
    completion = "completion"
    """The assistant's messages: what the paper's baseline counts."""
    conversation = "conversation"
    """All messages."""


@register("selection", "length_selection")
@dataclass
class LengthSelectionConfig(FilteredSelectionConfig):
    """The longest first (the paper's `Completion Length`)."""

    of: LengthOf = LengthOf.completion
    """What is measured, in characters."""


@register("selection", "knn_selection")
@dataclass
class KnnSelectionConfig(FilteredSelectionConfig):
    """The farthest from their neighbours first (the paper's `KNN-10`)."""

    k: int = 10
    """Neighbours, the sample itself not counted."""

    reads: ClassVar[frozenset[str]] = frozenset({"knn"})


@register("selection", "alpagasus_selection")
@dataclass
class AlpagasusSelectionConfig(ScoredSelectionConfig):
    """The best raw scores (arXiv 2307.08701)."""

    score: Score = Score.given
    threshold: float | None = None
    """Take every sample whose score reaches it, whatever the budget; none: the budget's best."""

    @property
    def budgeted(self) -> bool:
        return self.threshold is None

    @property
    def seeded(self) -> bool:
        return True


@register("selection", "deita_selection")
@dataclass
class DeitaSelectionConfig(ScoredSelectionConfig):
    """Quality times complexity, then distance to what is taken (arXiv 2312.15685)."""

    score: Score = Score.given
    """The quality."""
    complexity: str | None = None
    """Column of the pool with each sample's complexity, by which its quality is multiplied; none: quality
    alone.
    """
    similarity: float = 0.9
    """Cosine similarity from which a sample is too near to one already taken."""

    reads: ClassVar[frozenset[str]] = frozenset({"knn", "embed"})

    @property
    def borrows(self) -> bool:
        return self.complexity is not None


@register("selection", "facility_location_selection")
@dataclass
class FacilityLocationSelectionConfig(FilteredSelectionConfig):
    """The subset that leaves every sample a near neighbour in it."""

    k: int = 16
    """Neighbours of each sample that can stand for it."""

    reads: ClassVar[frozenset[str]] = frozenset({"knn"})


@register("selection", "precomputed_selection")
@dataclass
class PrecomputedSelectionConfig(FilteredSelectionConfig):
    """Numbers that somebody else computed, such as influence scores."""

    path: str = path_field()
    """One number a row of the pool: `.npy`, `.npz` or `.pt`; larger is better."""
    key: str | None = None
    """Array inside an `.npz` file; none: its only one."""

    files: ClassVar[tuple[str, ...]] = ("path",)

    @property
    def borrows(self) -> bool:
        return True


OPTIONAL = ("filter", "length_partialled")
"""Options that enter an identity only where they are used."""
