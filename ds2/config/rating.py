"""The score scale and the raters."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from ds2.config.base import MISSING, Extensible, register


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
class RaterConfig(Extensible):
    name: str = MISSING
    """Short name used in slugs, run names and tables."""
    unrated: Unrated = Unrated.exclude


@register("rater", "released_rater")
@dataclass
class ReleasedRaterConfig(RaterConfig):
    """A file of ratings, one a row, in pool order."""

    path: str = MISSING
    """`.pt` (a list or tensor), `.npz` or `.npy`."""
    key: str | None = None
    """Array inside an `.npz` file; none: its only one."""
    unit: RatingUnit = RatingUnit.scores


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
    """Several raters' ratings that come with the pool: curated together by `curation=posterior`."""

    columns: list[str] = MISSING
    """One dotted path a rater, e.g. `[scores.gpt_4o_mini, scores.mistral_7b]`; null or absent there: unrated."""
    unit: RatingUnit = RatingUnit.scores


@register("rater", "simulated_rater")
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


class Reading(Enum):
    """How a rating is read from the model."""

    answer = "answer"
    """The paper's: one JSON object with four criteria, written by the model."""
    expected = "expected"
    """The overall rating alone, 1..9, as the mean over the probabilities of its token: one forward step, no sampling."""
    text = "text"
    """Free text, read by whoever asked: for the judge of `eval`, not for ratings."""


@dataclass
class PriceConfig:
    """US dollars for a million tokens, of a model that `conf/price.yaml` does not list or at a price of one's own."""

    input: float | None = None
    output: float | None = None
    cached_input: float | None = None
    """Of prompt tokens that the server had in its cache; none: as `input`."""
    batch: float = 0.5
    """Share of the price that the Batch API charges."""


@dataclass
class RaterRuntime:
    """How to ask; never part of a fingerprint."""

    concurrency: int = 64
    """Requests in flight at a server."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    timeout: float = 120.0
    """Seconds until a request counts as lost."""
    batch_size: int = 64
    """Conversations at once in a local model (transformers; vLLM fills its memory by itself)."""
    tensor_parallel: int = 1
    """GPUs that share one copy of the model (vLLM)."""
    data_parallel: int | None = None
    """Copies of the model, each rating a shard (vLLM); none: as many as there are GPUs for."""
    gpu_memory: float = 0.9
    """Share of each GPU's memory (vLLM)."""
    price: PriceConfig = field(default_factory=PriceConfig)
    poll_seconds: float = 60.0
    """Between looks at a batch (openai_batch)."""
    batch_requests: int = 50_000
    """At most so many requests in one batch: the API's limit, less where the account may queue fewer tokens."""
    batch_megabytes: float = 200.0
    """At most so many million bytes in one input file: the API's limit."""


@register("rater", "llm_rater")
@dataclass
class LlmRaterConfig(RaterConfig):
    """A language model that reads each conversation and rates it."""

    backend: RaterBackend = MISSING
    model: str = MISSING
    """Model on the hub, local directory, or name at the server."""
    revision: str | None = None
    """Of a hub model; enters the fingerprint as its commit."""
    base_url: str | None = None
    """Root of an OpenAI-compatible server; none: OpenAI. Where a model is served is not identity."""
    api_version: str | None = None
    """Set for an Azure OpenAI resource, whose address is `base_url` and whose deployment is `model`."""
    reading: Reading = Reading.answer
    prompt_version: int = 1
    """Of the instructions in `ds2.rating.prompt`."""
    temperature: float | None = None
    """None: the server's default."""
    top_p: float | None = None
    top_k: int | None = None
    quantization: str | None = None
    """Of local weights, e.g. `bitsandbytes_4bit`, as the paper's authors ran them."""
    max_new_tokens: int = 128
    max_prompt_tokens: int = 2048
    """Longer conversations are cut in their middle; the instructions never are."""
    retries: int = 10
    """Further questions after an answer that cannot be read."""
    repeats: int = 1
    """Ratings of each sample; their mean counts, their agreement is reported."""
    sample: float = 1.0
    """Share of the pool that is rated; the rest stays unrated, for `curation=posterior` to fill in."""
    seed: int = 0
    """Of the sample and of local sampling."""
    max_unrated: float = 0.05
    """Share of asked samples that may stay without a rating before the stage stops."""
    max_cost: float | None = None
    """US dollars; rating stops before it would cost more."""
    runtime: RaterRuntime = field(default_factory=RaterRuntime)
