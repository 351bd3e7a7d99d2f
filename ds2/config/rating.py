"""The score scale and the raters."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, ClassVar

from ds2.config.base import COST, MISSING, Extensible, cost_field, path_field, register
from ds2.config.chat import ChatConfig, ChatRuntime


@dataclass
class ScaleConfig:
    """The score scale: a rating r becomes the score clip(r, low, high) - low, one of K = high - low + 1.

    The only place where the number of score levels is set.
    """

    low: int = 4
    high: int = 9

    @property
    def num_scores(self) -> int:
        """K, the number of score levels."""
        return self.high - self.low + 1


class RatingUnit(Enum):
    scores = "scores"
    """Already compressed: 0..K-1."""
    ratings = "ratings"
    """Raw ratings, compressed by the scale."""


class Unrated(Enum):
    """What becomes of samples without a rating."""

    exclude = "exclude"
    """No score: left out of counting, given a posterior by curation."""
    lowest_score = "lowest_score"
    """Score 0, as the paper's authors do."""
    fail = "fail"


CONFIDENCE = 0.5
"""The replacement threshold of `curation=rank` that the paper gives (section 5), for every rater but
LLaMA-3.1-8B."""


@dataclass
class RaterConfig(Extensible):
    name: str = MISSING
    """Short name used in slugs, run names and tables."""
    unrated: Unrated = Unrated.exclude
    confidence: float = CONFIDENCE
    """The replacement threshold of `curation=rank` that suits this rater: `curation.confidence` unless that
    is given."""
    flops: float | None = cost_field()
    """Floating-point operations that its scores of the pool took, where no count of tokens tells: scores from
    elsewhere. For costs and `budget.flops` only; 0: they count as free."""

    @property
    def several(self) -> bool:
        """Whether it gives several raters' scores."""
        return False


@register("rater", "released_rater")
@dataclass
class ReleasedRaterConfig(RaterConfig):
    """A file of ratings, one a row, in pool order."""

    path: str = path_field()
    """`.pt` (a list or tensor), `.npz` or `.npy`."""
    key: str | None = None
    """Array inside an `.npz` file; none: its only one."""
    unit: RatingUnit = RatingUnit.scores
    columns: list[str] | None = None
    """Several raters' scores: the names of their arrays inside an `.npz` file, instead of `key`."""

    @property
    def several(self) -> bool:
        return self.columns is not None


@register("rater", "column_rater")
@dataclass
class ColumnRaterConfig(RaterConfig):
    """Ratings that come with the pool."""

    column: str = MISSING
    """Dotted path into each row, e.g. `scores.gpt_4o_mini`; null or absent there: unrated."""
    unit: RatingUnit = RatingUnit.scores


@register("rater", "several_raters")
@dataclass
class SeveralRatersConfig(RaterConfig):
    """Several raters' ratings that come with the pool: fused by `curation=refine`, or by `posterior`."""

    columns: list[str] = MISSING
    """One dotted path a rater, e.g. `[scores.gpt_4o_mini, scores.mistral_7b]`; null or absent there:
    unrated."""
    unit: RatingUnit = RatingUnit.scores

    @property
    def several(self) -> bool:
        return True


@register("rater", "panel_rater")
@dataclass
class PanelRaterConfig(RaterConfig):
    """Several raters of any kind, each asked, priced and kept as if it were alone; fused by
    `curation=refine`."""

    name: str = ""
    """Empty: the raters' names, joined."""
    raters: list[Any] = MISSING
    """Names of `conf/rater`, and where one needs options, mappings of `rater` and these:
    `[gpt_4o_mini,{rater:released,path:llama.npy,name:llama}]`."""
    max_cost: float | None = cost_field()
    """US dollars for all raters together; asking stops before they would cost more."""
    prices: Any = field(default=None, metadata={COST: True})
    """`{NAME: DOLLARS}`: what a rater's scores of the pool cost, where no count of tokens tells: columns,
    models on this machine. For the report only."""
    members: list[Any] = field(default_factory=list)
    """The raters' own configurations; filled in when the configuration is composed, never given."""

    @property
    def several(self) -> bool:
        return True

    def of(self, members: list[RaterConfig]) -> PanelRaterConfig:
        """A panel of these, called after them unless it has a name of its own."""
        return replace(self, members=members, name=self._own_name or joined([m.name for m in members]))

    @property
    def _own_name(self) -> str:
        return "" if self.name == joined([m.name for m in self.members]) else self.name


@register("rater", "simulated_rater")
@dataclass
class SimulatedRaterConfig(RaterConfig):
    """Draws a rating of each sample's known true score from a transition matrix."""

    matrix: list[list[float]] = MISSING
    """K x K, rows true scores, columns given ones; rows are renormalised."""
    truth: str = "true_score"
    """Column of the known true score."""
    seed: int = 0


def joined(names: list[str]) -> str:
    """A panel's name: its raters', or how many there are where that would be long."""
    whole = "+".join(names)
    return whole if len(whole) <= 40 else f"panel_of_{len(names)}"


def raters_of(rater: RaterConfig) -> list[RaterConfig]:
    """A panel's raters, or the one rater."""
    return list(rater.members) if isinstance(rater, PanelRaterConfig) else [rater]


class Reading(Enum):
    """How a rating is read from the model."""

    answer = "answer"
    """The paper's: one JSON object with four criteria, written by the model."""
    expected = "expected"
    """The overall rating alone, 1..9: the mean over the probabilities of its token. One forward step, no
    sampling."""


@dataclass
class PriceConfig:
    """US dollars for a million tokens, for a model that `conf/price.yaml` does not list or at a price of
    one's own."""

    input: float | None = cost_field()
    output: float | None = cost_field()
    cached_input: float | None = cost_field()
    """For prompt tokens that the server had in its cache; none: as `input`."""
    batch: float = cost_field(0.5)
    """Share of the price that the Batch API charges."""


@dataclass
class RaterRuntime(ChatRuntime):
    """How to ask, and at what price; never part of a fingerprint."""

    price: PriceConfig = field(default_factory=PriceConfig)


@register("rater", "llm_rater")
@dataclass
class LlmRaterConfig(RaterConfig, ChatConfig):
    """A language model that reads each conversation and rates it.

    Conversations longer than `max_prompt_tokens` are cut in their middle; the instructions never are. `seed`
    draws the sample that is rated, too.
    """

    group: ClassVar[str] = "rater"

    reading: Reading = Reading.answer
    prompt_version: int = 1
    """Version of the instructions in `ds2.rating.prompt`."""
    prompt: str | None = path_field(None)
    """YAML file of criteria, scale and examples of one's own (docs/rating.md); none: the paper's criteria.
    What it says is identity, not where it is."""
    retries: int = 10
    """Further questions after an answer that cannot be read."""
    repeats: int = 1
    """Ratings of each sample, kept as so many columns: `curation=refine` fuses them, elsewhere their mean
    counts; their agreement is reported."""
    sample: float = 1.0
    """Share of the pool that is rated; the rest is ordered by the rater's student (`curation=refine`)."""
    batches: int = 1
    """Batches in which the share is rated: a first one at random, each further one of the samples that may
    be among the best: a student's prediction plus its members' disagreement."""
    stop_when: float | None = None
    """Rate no more once so much of the best tenth stays the same from one batch to the next."""
    max_unrated: float = 0.05
    """Share of asked samples that may stay without a rating before the stage stops."""
    max_cost: float | None = cost_field()
    """US dollars; rating stops before it would cost more."""
    params_b: float | None = cost_field()
    """Billions of parameters that work on a token, where the model cannot be looked into: one behind an API,
    a mixture of experts. For costs and `budget.flops` only."""
    runtime: RaterRuntime = field(default_factory=RaterRuntime)
