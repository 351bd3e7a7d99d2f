"""What a person can choose: one dataclass for each group under `conf/`, and `RunConfig` over all of them.

Dataclasses hold names, types and meanings; the YAML files hold values. A field under a `runtime` sub-dataclass says how
to execute a stage (device, batch size of inference, workers) and never reaches a fingerprint: two runs that differ only
there share every artifact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

MISSING: Any = "???"
"""OmegaConf's mark of a value that the person must give."""


class PoolFormat(Enum):
    auto = "auto"
    """Decided by each file's first row."""
    messages = "messages"
    """`{"messages": [{"role", "content"}, ...]}`"""
    alpaca = "alpaca"
    """`{"instruction", "input", "output"}`"""
    sharegpt = "sharegpt"
    """`{"conversations": [{"from", "value"}, ...]}`"""


class BadRows(Enum):
    fail = "fail"
    drop = "drop"
    """Leave bad rows out; how many, and why, is reported."""


@dataclass
class PoolConfig:
    name: str = MISSING
    """Short name used in slugs, run names and tables."""


@dataclass
class RowsPoolConfig(PoolConfig):
    """Rows that somebody wrote: checked one by one."""

    format: PoolFormat = PoolFormat.auto
    on_bad_rows: BadRows = BadRows.fail
    limit: int | None = None
    """Use only the first so many valid rows."""
    source: str | None = None
    """Field that names a row's source; none: `source`, `dataset`, or the pool's name."""


@dataclass
class FilesPoolConfig(RowsPoolConfig):
    path: str = MISSING
    """JSONL, JSON or Parquet file (gz too), a folder of them, or a glob pattern."""


@dataclass
class HubPoolConfig(RowsPoolConfig):
    dataset: str = MISSING
    """Repository on the Hugging Face hub."""
    subset: str | None = None
    """The dataset's configuration name."""
    split: str = "train"
    """Split of the dataset."""
    revision: str | None = None
    """Commit, tag or branch; resolved to a commit before it enters a fingerprint."""


@dataclass
class MiniPoolConfig(PoolConfig):
    """The generated pool of the miniature experiment (planted true scores)."""

    samples: int = MISSING
    """Number of samples generated."""
    seed: int = 0


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


@dataclass
class EmbedderConfig:
    name: str = MISSING


@dataclass
class EmbedderRuntime:
    device: str = "auto"
    batch_size: int = 64
    """Texts per forward pass."""


@dataclass
class SentenceEmbedderConfig(EmbedderConfig):
    """A sentence-transformers model; the text is the whole conversation, `### role: content` a message."""

    model: str = MISSING
    """Hub name or local directory."""
    revision: str | None = None
    max_tokens: int | None = None
    """Cut of a text before embedding; none: the model's own limit."""
    runtime: EmbedderRuntime = field(default_factory=EmbedderRuntime)


@dataclass
class TfidfEmbedderConfig(EmbedderConfig):
    """TF-IDF over the contents, then truncated SVD: needs no weights."""

    dimensions: int = 128
    """Width after the SVD; the vocabulary's own where it or the pool is no larger."""
    min_df: int = 3
    """Terms in fewer texts are dropped."""
    max_df: float = 0.2
    """Terms in a larger share of texts are dropped."""


class KnnMethod(Enum):
    exact = "exact"
    approximate = "approximate"


@dataclass
class KnnConfig:
    method: KnnMethod = KnnMethod.exact
    k: int = 96
    """Neighbours stored per sample, itself excluded. Subsampled rounds read the sampled ones among these."""


class CurationMethod(Enum):
    none = "none"
    """Scores stay as given; only the long-tail score is computed."""
    rank = "rank"
    """The paper: HOC, then SimiFeat-rank."""
    posterior = "posterior"
    """One likelihood for transition matrix, prior and scores (EM)."""


class OnUninformative(Enum):
    warn = "warn"
    fail = "fail"
    keep_raw = "keep_raw"


@dataclass
class CurationConfig:
    method: CurationMethod = MISSING
    k: int = 10
    """Neighbours per sample; counts the sample itself for `rank` and the long-tail score, neighbours only for `posterior`."""
    confidence: float = 0.5
    """Replacement threshold of `rank` (paper: 0.5 for GPT and Mistral, 0.4 for LLaMA)."""
    duplicate_pool: bool = False
    """Concatenate the pool with itself as the released code does; for parity only."""
    on_uninformative: OnUninformative = OnUninformative.warn
    """What to do when neighbours carry no information about this rater."""
    seed: int = 0


class Score(Enum):
    given = "given"
    """The rater's own scores: the rate artifact's."""
    curated = "curated"
    """The curation artifact's integer scores."""
    posterior_mean = "posterior_mean"
    """Expected true score under the posterior."""


@dataclass
class SelectionConfig:
    """What every selection has; a strategy's own fields are in `ds2/selection/config.py`."""

    name: str = MISSING
    """Short name used in slugs, run names and tables."""
    strategy: str = MISSING
    """A module of `ds2/selection/`."""
    curation: CurationMethod | None = None
    """The curation this choice presumes; any other is refused before anything runs. None: any."""
    rater: str | None = None
    """The rater this choice presumes (`truth` for the oracle). None: any."""


@dataclass
class BudgetConfig:
    samples: float = MISSING
    """Number of samples to select, or, below 1, the share of the pool."""


@dataclass
class ModelConfig:
    """The base model."""

    name: str = MISSING
    """Short name used in slugs, run names and tables."""


@dataclass
class HubModelConfig(ModelConfig):
    path: str = MISSING
    """Hub name or local directory."""
    revision: str | None = None


@dataclass
class TinyModelConfig(ModelConfig):
    """A random Llama with a byte tokenizer: tests the machinery, knows nothing."""

    seed: int = 0


@dataclass
class PretrainRuntime:
    max_seconds: float = 300.0
    """Wall-clock cap; reaching it is recorded and shown."""
    threads: int | None = None


@dataclass
class MiniModelConfig(ModelConfig):
    """The miniature experiment's base model, pre-trained on the spot."""

    seed: int = 0
    steps: int = MISSING
    """Optimiser steps of pre-training."""
    runtime: PretrainRuntime = field(default_factory=PretrainRuntime)


class Quantization(Enum):
    none = "none"
    nf4 = "nf4"
    """4-bit base weights (QLoRA; needs bitsandbytes and a GPU)."""


@dataclass
class FinetuneRuntime:
    device_batch: int | None = None
    """Samples per device and forward pass; accumulation follows. None: as many as divide the total batch, at most 8."""
    devices: int | None = None
    """GPUs to use; none: all that are visible."""
    activation_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    attention: str = "sdpa"
    """Attention kernels: `sdpa`, `flash_attention_2` (needs flash-attn), `eager`."""
    accelerate_config: str | None = None
    """An accelerate config file (FSDP, DeepSpeed)."""
    threads: int | None = None
    """CPU threads; none: torch's choice."""
    save_every_epoch: bool = True
    """Keep a checkpoint of each epoch while training, for an interrupted run to continue from."""


@dataclass
class FinetuneConfig:
    enabled: bool = True
    """False: stop after selection, nothing is trained or evaluated."""
    name: str = MISSING
    rank: int = 64
    """LoRA rank r."""
    alpha: int = 16
    """LoRA scaling numerator."""
    dropout: float = 0.1
    target_modules: list[str] = field(
        default_factory=lambda: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    )
    learning_rate: float = 1e-4
    schedule: str = "linear"
    """A transformers scheduler name."""
    warmup_ratio: float = 0.03
    weight_decay: float = 0.0
    epochs: float = 5.0
    max_steps: int | None = None
    """Optimiser steps; given, it overrides epochs (equal steps for every method)."""
    total_batch: int = 128
    """Samples per optimiser step over all devices: identity, so the result does not depend on how many there are."""
    max_tokens: int = 2048
    """Longer samples are cut."""
    dtype: str = "bfloat16"
    quantization: Quantization = Quantization.none
    template: str = "tulu"
    """Chat template: a file of `finetune/templates/`, or `model` for the base model's own."""
    merge: bool = False
    """Also write the merged model."""
    runtime: FinetuneRuntime = field(default_factory=FinetuneRuntime)


class EvalBackend(Enum):
    hf = "hf"
    vllm = "vllm"


@dataclass
class EvalRuntime:
    batch_size: int = 8
    """Prompts per forward pass."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1`, ..."""
    threads: int | None = None
    """CPU threads; none: torch's choice."""


@dataclass
class EvalConfig:
    enabled: bool = True
    """False: nothing is evaluated."""
    name: str = MISSING
    tasks: list[str] = field(default_factory=list)
    """Task names: a YAML of `eval/tasks/`, else one of lm-eval's own. Their first metrics make the average."""
    companions: list[str] = field(default_factory=list)
    """Tasks that are run and shown beside the others, and left out of the average."""
    limit: int | None = None
    """First so many questions of each task."""
    subsample: bool = True
    """The paper's subsets: 200 questions of GSM8K, 40 of each BBH task, 100 of each TyDiQA language. False: all."""
    data_seed: int = 0
    """Seed of generated questions (the mini tasks) and of the choice of few-shot examples."""
    data_samples: int = 0
    """Number of generated questions per task (the mini tasks)."""
    data_dir: str | None = None
    """Folder of benchmark files read in place of the hub's data sets (`gsm8k_test.jsonl`, `bbh/`, ...)."""
    fewshot_as_multiturn: bool = False
    """Examples as turns of their own; otherwise all in one user turn, as the paper's harness has them."""
    truth_judge: str = "allenai/truthfulqa-truth-judge-llama2-7B"
    """Model that says whether an answer to TruthfulQA is true (task `paper_truthfulqa`)."""
    info_judge: str = "allenai/truthfulqa-info-judge-llama2-7B"
    """Model that says whether such an answer is informative."""
    backend: EvalBackend = EvalBackend.hf
    dtype: str = "bfloat16"
    runtime: EvalRuntime = field(default_factory=EvalRuntime)


class TrackingMode(Enum):
    offline = "offline"
    online = "online"
    none = "none"


@dataclass
class TrackingConfig:
    mode: TrackingMode = TrackingMode.offline
    project: str = "ds2"
    entity: str | None = None
    group: str | None = None
    """Runs of one sweep share it; none: the sweep's name, or the run's own."""


class EngineKind(Enum):
    local = "local"
    """This machine."""


@dataclass
class EngineConfig:
    kind: EngineKind = EngineKind.local


@dataclass
class RuntimeConfig:
    isolate: str = "auto"
    """Whether fine-tuning and evaluation run as child processes: auto (where there is a GPU to free between jobs), true,
    false."""
    offline: bool = False
    """Never ask the hub."""
    progress: bool = True
    """Show progress bars."""


@dataclass
class PathsConfig:
    artifacts: str = "artifacts"
    """Root of the artifact store."""
    wandb: str = "artifacts/wandb"


class Until(Enum):
    """Last stage to run."""

    rate = "rate"
    embed = "embed"
    knn = "knn"
    curate = "curate"
    select = "select"
    finetune = "finetune"
    evaluate = "evaluate"
    report = "report"


@dataclass
class RunConfig:
    pool: PoolConfig = field(default_factory=PoolConfig)
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    rater: RaterConfig = field(default_factory=RaterConfig)
    embedder: EmbedderConfig = field(default_factory=EmbedderConfig)
    knn: KnnConfig = field(default_factory=KnnConfig)
    curation: CurationConfig = field(default_factory=CurationConfig)
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)
    seed: int = 42
    """Fine-tuning and random choices only, so a seed sweep reuses everything up to selection."""
    until: Until = Until.report
    plan: bool = False
    """Print the chain with what is cached, and exit."""
    prepare: bool = False
    """Fetch what the run needs (pool, models, benchmark data), and exit."""


def register_schemas() -> None:
    """Give Hydra each group's schema, under the name that the group's YAML files start from."""
    from hydra.core.config_store import ConfigStore

    from ds2.selection.config import SCHEMAS

    schemas: Mapping[str, Mapping[str, type]] = {
        "pool": {"files_pool": FilesPoolConfig, "hub_pool": HubPoolConfig, "mini_pool": MiniPoolConfig},
        "rater": {
            "released_rater": ReleasedRaterConfig,
            "column_rater": ColumnRaterConfig,
            "several_raters": SeveralRatersConfig,
            "simulated_rater": SimulatedRaterConfig,
            "llm_rater": LlmRaterConfig,
        },
        "embedder": {"sentence_embedder": SentenceEmbedderConfig, "tfidf_embedder": TfidfEmbedderConfig},
        "knn": {"knn": KnnConfig},
        "curation": {"curation": CurationConfig},
        "selection": SCHEMAS,
        "budget": {"budget": BudgetConfig},
        "model": {"hub_model": HubModelConfig, "tiny_model": TinyModelConfig, "mini_model": MiniModelConfig},
        "finetune": {"finetune": FinetuneConfig},
        "eval": {"eval": EvalConfig},
        "tracking": {"tracking": TrackingConfig},
        "engine": {"engine": EngineConfig},
    }
    store = ConfigStore.instance()
    store.store(name="run_schema", node=RunConfig)
    for group, nodes in schemas.items():
        for name, node in nodes.items():
            store.store(group=group, name=f"{name}_schema", node=node)
