"""What a run needs of a node with GPUs, counted from the settings of its stages: an estimate.

It is made of the constants below: the training speed that `benchmarks/gpu.py` measured on one H100, scaled by
the model's size, a rating speed that others report for one, and assumptions. Reading a token takes half the
operations of LoRA's training (`ds2.models.flops`) and is taken to be twice as fast. What several runs share
(a rater's scores of the pool, what a base model measures of it) is a `Shared`, equal among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ds2.base.errors import UserError
from ds2.config import LlmRaterConfig, RaterConfig, RunConfig
from ds2.config.measured_selection import LessSelectionConfig, MeasuredSelectionConfig
from ds2.config.rating import raters_of
from ds2.config.stages import stages_of
from ds2.config.training import FOLDS
from ds2.models import flops

SAMPLES = {"tulu_300k": 300_932, "ds2_67k": 67_013, "lima": 1_030}
"""Name of a pool -> its samples."""
PARAMETERS = {"llama_3_1_8b": 8.0e9, "llama_2_7b": 6.7e9, "mistral_7b_v0_3": 7.2e9, "llama_3_2_3b": 3.2e9}
"""Base model -> parameters."""
MEASURED = "benchmarks/results/gpu-nvidia-h100-80gb-hbm3.md"
TRAINED_PER_SECOND = 5_524.5
"""Tokens a second of LoRA on 8 B parameters, one H100, packed rows of 4,032 tokens, as measured (`MEASURED`,
part lora); others by their size."""
READ_PER_SECOND = 2 * TRAINED_PER_SECOND
"""An assumption: forward passes do 2 N operations a token, LoRA's training 4 N, at one share of the peak."""
PASSES = {"perplexity": 1, "ifd": 2, "rds_plus": 1}
"""Strategy that measures -> forward passes through the pool; IFD reads answers with and without question."""
TOKENS_A_SAMPLE = 500
"""An assumption: mean tokens of a sample of the pool, cut at `finetune.max_tokens`."""
RATED_PER_SECOND = 100.0
"""Ratings a second of 568 tokens by a model of 8 B parameters, one H100, as TensorRT-LLM reports in FP8: the
measured card had no vLLM."""
ANSWER_SECONDS = 2.0
"""An assumption: until an API answers, `rater.runtime.concurrency` questions at once."""
EVALUATION_HOURS = 1.0
"""An assumption: the five benchmarks on the paper's subsets, one H100."""
API_DOLLARS = {"gpt_4o_mini": (568 * 0.15 + 60 * 0.60) / 1e6}
"""Rater behind an API -> dollars a sample: 568 tokens read, 60 written, at conf/price.yaml's prices."""
ADAPTER_SHARE = 0.042
"""An adapter of rank 64 in float32, as a share of the base model in 16 bits."""


class NotKnown(UserError):
    """The size of something is known to nobody here."""


@dataclass(frozen=True)
class Need:
    """What one run needs for itself."""

    training: float
    """Hours of one GPU, as the others."""
    cleaning: float
    """Those of the references that judge its tokens."""
    evaluation: float
    disk: float
    """Bytes, the base model's own left out."""

    @property
    def hours(self) -> float:
        return self.training + self.cleaning + self.evaluation


@dataclass(frozen=True)
class Shared:
    """What is done once for all runs of one pool, rater or base model: equal where it is the same work."""

    stage: str
    of: str
    """What tells it from other work of the stage."""
    hours: float
    """Of one GPU."""
    disk: float = 0.0
    """Bytes, while it is computed."""
    dollars: float = 0.0
    """To an API."""
    waiting: float = 0.0
    """Hours that pass until an API has answered, without a GPU."""


def need_of(config: RunConfig) -> Need:
    """Training, cleaning of tokens and evaluation of one run. Raises NotKnown."""
    stages = stages_of(config)
    evaluation = EVALUATION_HOURS if "evaluate" in stages else 0.0
    if "finetune" not in stages:
        return Need(0.0, 0.0, evaluation, 0.0)
    size = size_of(config)
    training = _tokens_seen(config, size) / _per_second(TRAINED_PER_SECOND, size) / 3600
    cleaning = _cleaning(config, training, size) if "tokens" in stages else 0.0
    return Need(training, cleaning, evaluation, 2 * size * ADAPTER_SHARE)


def shared_by(config: RunConfig) -> list[Shared]:
    """What a run needs that others of its sweep may need too. Raises NotKnown."""
    stages = stages_of(config)
    found = list(_ratings(config)) if "rate" in stages else []
    return [*found, _measurement(config)] if "measure" in stages else found


def wall_hours(config: RunConfig) -> float:
    """How long a run takes where nothing of it is in the store, on one GPU. Raises NotKnown."""
    return need_of(config).hours + sum(each.hours + each.waiting for each in shared_by(config))


def size_of(config: RunConfig) -> float:
    """Parameters of the base model. Raises NotKnown."""
    if config.model.name not in PARAMETERS:
        raise NotKnown(f"--plan knows no size of model={config.model.name}; it knows {', '.join(PARAMETERS)}")
    return PARAMETERS[config.model.name]


def samples_of(config: RunConfig) -> int:
    """Samples of the pool. Raises NotKnown."""
    if config.pool.label not in SAMPLES:
        raise NotKnown(f"--plan knows no size of the pool {config.pool.label}; it knows {', '.join(SAMPLES)}")
    limit = getattr(config.pool, "limit", None)
    return min(filter(None, (SAMPLES[config.pool.label], limit)))


def asks_api(rater: RaterConfig) -> bool:
    """Whether a rater's answers come from a server, and cost no GPU here."""
    return isinstance(rater, LlmRaterConfig) and rater.backend.served


def _per_second(speed: float, size: float) -> float:
    """A speed of 8 B parameters, for a model of another size."""
    return speed * 8.0e9 / size


def _tokens_seen(config: RunConfig, size: float) -> float:
    """Tokens trained on in all passes; of a budget of FLOPs as many as it pays for if selecting is free."""
    if config.finetune.max_steps is not None:
        return config.finetune.max_steps * config.finetune.total_batch * TOKENS_A_SAMPLE
    budget = config.budget
    if config.selection.budgeted and budget.most_flops is not None:
        return budget.most_flops / flops.training(1, 1) / size
    if config.selection.budgeted and budget.most_tokens is not None:
        return budget.most_tokens * config.finetune.epochs  # of responses: what prompts add is not known here
    return _samples_chosen(config) * TOKENS_A_SAMPLE * config.finetune.epochs


def _samples_chosen(config: RunConfig) -> float:
    budget = config.budget.samples
    if not config.selection.budgeted:
        return samples_of(config)
    return budget if budget >= 1 else budget * samples_of(config)


def _cleaning(config: RunConfig, training: float, size: float) -> float:
    """Hours of the references, each fine-tuned on all but its share of the subset, and of reading the subset
    with the base model and with a reference.
    """
    passes = 1 if config.finetune.max_steps is not None else config.finetune.epochs
    read = 2 * _tokens_seen(config, size) / passes / _per_second(READ_PER_SECOND, size) / 3600
    if config.finetune.token_reference is not None:
        return read
    share = 1.0 if config.finetune.max_steps is not None else (FOLDS - 1) / FOLDS
    return FOLDS * share * training + read


def _ratings(config: RunConfig) -> Iterator[Shared]:
    """Scores that a language model gives; those that come with the pool cost nothing here."""
    for rater in raters_of(config.rater):
        if not isinstance(rater, LlmRaterConfig):
            continue
        samples, named = samples_of(config), f"{config.pool.label}: {rater.name}"
        if asks_api(rater):
            dollars = samples * API_DOLLARS.get(rater.name, 0.0)
            waiting = samples * ANSWER_SECONDS / rater.runtime.concurrency / 3600
            yield Shared("rate", named, 0.0, dollars=dollars, waiting=waiting)
        else:
            yield Shared("rate", named, samples / RATED_PER_SECOND / 3600)


def _measurement(config: RunConfig) -> Shared:
    """What a language model says of each sample. LESS trains its warm-up, then passes the pool with gradients
    once an epoch, and keeps the projected directions.
    """
    asked = config.selection
    assert isinstance(asked, MeasuredSelectionConfig)
    if asked.scorer is not None:
        raise NotKnown(f"--plan knows no size of selection.scorer={asked.scorer}")
    size, samples = size_of(config), samples_of(config)
    tokens = samples * TOKENS_A_SAMPLE
    named = f"{config.pool.label}: {config.model.name}: {asked.measure_identity()}"
    if isinstance(asked, LessSelectionConfig):
        trained = tokens * asked.epochs * (1 + asked.warmup_share)
        hours = trained / _per_second(TRAINED_PER_SECOND, size) / 3600
        return Shared("measure", named, hours, disk=4.0 * samples * asked.epochs * asked.projection)
    if asked.strategy not in PASSES:
        raise NotKnown(f"--plan does not know what selection={asked.name} computes; it knows less, "
                       f"{', '.join(PASSES)}")  # fmt: skip
    hours = PASSES[asked.strategy] * tokens / _per_second(READ_PER_SECOND, size) / 3600
    return Shared("measure", named, hours)
