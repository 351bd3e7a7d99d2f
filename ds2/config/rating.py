"""The score scale and the raters."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from ds2.config.base import MISSING


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


@dataclass
class RaterConfig:
    name: str = MISSING
    """Short name used in slugs, run names and tables."""
    unrated: Unrated = Unrated.exclude


@dataclass
class ReleasedRaterConfig(RaterConfig):
    """A file of ratings, one a row, in pool order."""

    path: str = MISSING
    """`.pt` (a list or tensor), `.npz` or `.npy`."""
    key: str | None = None
    """Array inside an `.npz` file; none: its only one."""
    unit: RatingUnit = RatingUnit.scores


@dataclass
class ColumnRaterConfig(RaterConfig):
    """Ratings that come with the pool."""

    column: str = MISSING
    """Dotted path into each row, e.g. `scores.gpt_4o_mini`; null or absent there: unrated."""
    unit: RatingUnit = RatingUnit.scores


@dataclass
class SeveralRatersConfig(RaterConfig):
    """Several raters' ratings that come with the pool: curated together by `curation=posterior`."""

    columns: list[str] = MISSING
    """One dotted path a rater, e.g. `[scores.gpt_4o_mini, scores.mistral_7b]`; null or absent there: unrated."""
    unit: RatingUnit = RatingUnit.scores


@dataclass
class SimulatedRaterConfig(RaterConfig):
    """Draws a rating of each sample's known true score from a transition matrix."""

    published: str | None = None
    """Name of a rater whose matrix the paper prints (K = 6)."""
    matrix: list[list[float]] | None = None
    """Or the matrix itself, K x K; rows are renormalised."""
    truth: str = "true_score"
    """Column of the known true score."""
    seed: int = 0


class RaterBackend(Enum):
    vllm = "vllm"
    openai = "openai"
    openai_batch = "openai_batch"
    transformers = "transformers"


@dataclass
class RaterRuntime:
    concurrency: int = 64
    """Requests in flight."""
    batch_size: int = 64


@dataclass
class LlmRaterConfig(RaterConfig):
    """A language model that reads each conversation and rates it."""

    backend: RaterBackend = MISSING
    model: str = MISSING
    """Model on the hub, local directory, or name at the server."""
    revision: str | None = None
    base_url: str | None = None
    temperature: float | None = None
    """None: the server's default."""
    top_p: float | None = None
    top_k: int | None = None
    max_new_tokens: int = 128
    max_prompt_tokens: int = 2048
    retries: int = 10
    runtime: RaterRuntime = field(default_factory=RaterRuntime)
