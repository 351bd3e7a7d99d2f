"""What a person can choose: one dataclass for each group under `conf/`, and `RunConfig` over all of them.

Dataclasses hold names, types and meanings; the YAML files hold values. A field under a `runtime` sub-dataclass says how
to execute a stage (device, batch size of inference, workers) and never reaches a fingerprint: two runs that differ only
there share every artifact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

MISSING: Any = "???"
"""OmegaConf's mark of a value that the person must give."""


class PoolKind(Enum):
    files = "files"
    """Local JSONL, JSON or Parquet files (gz too)."""
    hub = "hub"
    """A Hugging Face dataset by name."""
    mini = "mini"
    """The generated pool of the miniature experiment (planted true scores)."""


class PoolFormat(Enum):
    auto = "auto"
    """Decided by the first row's fields."""
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
    kind: PoolKind = MISSING
    name: str = MISSING
    """Short name used in slugs, run names and tables."""
    path: str | None = None
    """File, folder of shards, or glob pattern (`kind=files`)."""
    hub_name: str | None = None
    """Repository on the Hugging Face hub (`kind=hub`)."""
    revision: str | None = None
    """Commit, tag or branch; resolved to a commit before it enters a fingerprint (`kind=hub`)."""
    split: str = "train"
    format: PoolFormat = PoolFormat.auto
    on_bad_rows: BadRows = BadRows.fail
    limit: int | None = None
    """Use only the first so many valid rows."""
    seed: int = 0
    """Seed of the generator (`kind=mini`)."""
    samples: int = 4000
    """Number of samples generated (`kind=mini`)."""


@dataclass
class ScaleConfig:
    """The score scale: ratings `low..high` become scores `0..K-1`, K = high - low + 1, by clipping (method: s = clip(r, low, high) - low).

    The only place where the number of score levels is set.
    """

    low: int = 4
    high: int = 9


class RaterKind(Enum):
    released = "released"
    """A file of scores, row by row in pool order (`.pt`, `.npz`, `.npy`)."""
    from_column = "from_column"
    """A column that came with the pool."""
    simulated = "simulated"
    """Draws ratings of the pool's known true scores from a transition matrix."""
    vllm = "vllm"
    openai = "openai"
    openai_batch = "openai_batch"
    transformers = "transformers"


class RatingUnit(Enum):
    scores = "scores"
    """Already compressed: 0..K-1."""
    ratings = "ratings"
    """Raw ratings, compressed by the scale."""


class Unrated(Enum):
    exclude = "exclude"
    """Unrated samples have no score; curation gives them a posterior, and no strategy takes them on their score."""
    lowest_score = "lowest_score"
    """Score 0, as in the paper."""
    fail = "fail"


@dataclass
class RaterRuntime:
    device: str = "auto"
    batch_size: int = 64


@dataclass
class RaterConfig:
    kind: RaterKind = MISSING
    name: str = MISSING
    """Short name used in slugs, run names and tables."""
    unit: RatingUnit = RatingUnit.scores
    unrated: Unrated = Unrated.exclude
    path: str | None = None
    """Score file (`released`), or CSV with the columns rater,true_score,rated_0,.. (`simulated`; none: the published matrices)."""
    key: str | None = None
    """Array inside an `.npz` file (`released`)."""
    column: str | None = None
    """Dotted path into each row, e.g. `scores.gpt_4o_mini` (`from_column`)."""
    transition: str | None = None
    """Name of a rater's published matrix (`simulated`)."""
    matrix: list[list[float]] | None = None
    """A transition matrix given outright, K x K, rows renormalised (`simulated`)."""
    truth: str = "true_score"
    """Column of the known true score (`simulated`)."""
    seed: int = 0
    """Seed of the draws (`simulated`)."""
    model: str | None = None
    """Model name on the hub, or of the server (LLM back ends)."""
    revision: str | None = None
    """Model revision; part of the identity (LLM back ends)."""
    base_url: str | None = None
    """Server address (`openai`)."""
    temperature: float = 1.2
    """Sampling temperature (LLM back ends; the paper's value for open models)."""
    top_p: float = 0.9
    top_k: int = 50
    max_new_tokens: int = 128
    retries: int = 10
    runtime: RaterRuntime = field(default_factory=RaterRuntime)


class EmbedderKind(Enum):
    sentence_transformers = "sentence_transformers"
    tfidf_svd = "tfidf_svd"


@dataclass
class EmbedderRuntime:
    device: str = "auto"
    batch_size: int = 64
    """Texts per forward pass."""


@dataclass
class EmbedderConfig:
    kind: EmbedderKind = MISSING
    name: str = MISSING
    model: str | None = None
    """Hub name or local directory (`sentence_transformers`)."""
    revision: str | None = None
    max_tokens: int | None = None
    """Cut of a text before embedding (`sentence_transformers`; none: the model's own limit)."""
    dimensions: int = 128
    """Width after the truncated SVD (`tfidf_svd`)."""
    min_df: int = 3
    """Terms in fewer texts are dropped (`tfidf_svd`; lowered to 1 for pools under 100 samples)."""
    max_df: float = 0.2
    """Terms in a larger share of texts are dropped (`tfidf_svd`; no cut for pools under 100 samples)."""
    runtime: EmbedderRuntime = field(default_factory=EmbedderRuntime)


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
    curated = "curated"
    """The curation artifact's integer scores."""
    posterior_mean = "posterior_mean"
    """Expected true score under the posterior."""
    truth = "truth"
    """The pool's known true score: an oracle, for planted pools only."""


@dataclass
class SelectionConfig:
    strategy: str = MISSING
    """A module of `ds2/selection/`."""
    score: Score = Score.curated
    """What `ds2` sorts by."""
    diversity: bool = True
    """Break ties of equal score by the long-tail score; otherwise by a seeded shuffle."""
    curation: CurationMethod | None = None
    """The curation this strategy presumes; any other is refused at compose time. None: any."""


@dataclass
class BudgetConfig:
    samples: float = MISSING
    """Number of samples to select, or, below 1, the share of the pool."""


class ModelKind(Enum):
    hub = "hub"
    """A model on the Hugging Face hub, or a local directory."""
    tiny = "tiny"
    """A random Llama with a byte tokenizer: tests the machinery, knows nothing."""
    mini = "mini"
    """The miniature experiment's base model, pre-trained on the spot."""


@dataclass
class PretrainRuntime:
    max_seconds: float = 300.0
    """Wall-clock cap; reaching it is recorded and shown."""
    threads: int | None = None


@dataclass
class ModelConfig:
    kind: ModelKind = MISSING
    name: str = MISSING
    """Short name used in slugs, run names and tables."""
    path: str | None = None
    """Hub name or local directory (`kind=hub`)."""
    revision: str | None = None
    seed: int = 0
    """Seed of the weights and of pre-training (`tiny`, `mini`)."""
    pretrain_steps: int = 2000
    """Optimiser steps of pre-training (`mini`)."""
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
    accelerate_config: str | None = None
    """An accelerate config file (FSDP, DeepSpeed)."""
    threads: int | None = None
    save_every_epoch: bool = True


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
    """Chat template: a file of `finetune/templates/`."""
    merge: bool = False
    """Also write the merged model."""
    runtime: FinetuneRuntime = field(default_factory=FinetuneRuntime)


class EvalBackend(Enum):
    hf = "hf"
    vllm = "vllm"


@dataclass
class EvalRuntime:
    batch_size: int = 8
    device: str = "auto"
    threads: int | None = None


@dataclass
class EvalConfig:
    enabled: bool = True
    """False: nothing is evaluated."""
    name: str = MISSING
    tasks: list[str] = field(default_factory=list)
    """Task names: a YAML of `eval/tasks/`, else one of lm-eval's own."""
    limit: int | None = None
    """First so many questions of each task."""
    data_seed: int = 0
    """Seed of generated questions (the mini tasks)."""
    data_samples: int = 0
    """Number of generated questions per task (the mini tasks)."""
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
    ray = "ray"
    """Ray Data for rating and embedding."""


@dataclass
class EngineConfig:
    kind: EngineKind = EngineKind.local


class Isolate(Enum):
    auto = "auto"
    """Child processes where there is a GPU to free between jobs, in process on CPU."""
    true = "true"
    false = "false"


@dataclass
class RuntimeConfig:
    isolate: Isolate = Isolate.auto
    """Whether fine-tuning and evaluation run as child processes."""
    offline: bool = False
    """Never ask the hub."""


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
    sweep: str | None = None
    """The grid this run belongs to; filled in by `ds2 sweep=NAME`."""
