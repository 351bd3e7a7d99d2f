"""One run: every choice, and how to execute it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from ds2.base.paths import project_root
from ds2.config.base import FILES, PATH, path_field, register
from ds2.config.budget import BudgetConfig
from ds2.config.curation import (
    CurationConfig,
    EmbedderConfig,
    KnnConfig,
)
from ds2.config.pool import PoolConfig
from ds2.config.rating import (
    RaterConfig,
    ScaleConfig,
)
from ds2.config.selection import SelectionConfig
from ds2.config.training import (
    EvalConfig,
    FinetuneConfig,
    ModelConfig,
)


class TrackingMode(Enum):
    """Where runs are tracked."""

    offline = "offline"
    online = "online"
    disabled = "disabled"
    """W&B's word for `none`."""
    none = "none"


class TrackingService(Enum):
    """Who shows runs."""

    wandb = "wandb"
    mlflow = "mlflow"
    trackio = "trackio"


@register("tracking", "tracking")
@dataclass
class TrackingConfig:
    service: TrackingService = TrackingService.wandb
    mode: TrackingMode = TrackingMode.offline
    project: str = "ds2"
    entity: str | None = None
    group: str | None = None
    """Runs of one sweep share it; none: the sweep's name, or the run's own."""
    tags: list[str] = field(default_factory=list)
    """Marks of the run beside its selection and rater; a search gives its trials theirs."""
    keys: list[str] = field(default_factory=list)
    """Keys of the configuration that tell this run from others beside its choices: a sweep names its recipes,
    a search what it tries.
    """
    trial: int | None = None
    """Number of the trial of a search that this run is."""
    uri: str | None = None
    """The server of MLflow or trackio, or MLflow's database (`sqlite:///FILE`); none: a file below
    paths.artifacts.
    """

    @property
    def off(self) -> bool:
        """Whether nothing is tracked: by choice, or by W&B's own switch in the environment."""
        if self.service is not TrackingService.wandb:
            return self.mode in (TrackingMode.none, TrackingMode.disabled)
        switched_off = os.environ.get("WANDB_DISABLED", "").lower() in ("true", "1", "yes", "on")
        return switched_off or self.mode in (TrackingMode.none, TrackingMode.disabled)


class EngineKind(Enum):
    """Who works on the shards of a stage."""

    local = "local"
    ray = "ray"


@register("engine", "engine")
@dataclass
class EngineConfig:
    """Who does what can be done in shards; never part of a fingerprint."""

    backend: EngineKind = EngineKind.local
    address: str = "auto"
    """Ray's cluster: `auto` is the one that runs on this machine or that RAY_ADDRESS names, else one of this
    machine for this run; `local` is always one for this run; otherwise the HOST:PORT of a head.
    """
    actors: int = 2
    """Processes side by side; each loads the model that it needs."""
    gpus: float = 0.0
    """GPUs of each actor."""


@dataclass
class RuntimeConfig:
    isolate: str = "auto"
    """Whether fine-tuning and evaluation run as child processes: auto (where there is a GPU to free between
    jobs), true, false.
    """
    offline: bool = False
    """Never ask the hub."""
    progress: bool = True
    """Show progress bars."""
    trust_times: bool = True
    """Take an input file for unchanged while its size, times and inode are; false: hash each one again (a
    file system whose clock or times cannot be trusted).
    """


def _default_data() -> str:
    return os.environ.get("DS2_DATA") or str(project_root().parent / "shared")


@dataclass
class PathsConfig:
    artifacts: str = path_field("artifacts")
    """Root of the artifact store."""
    store: str | None = field(default=None, metadata={PATH: FILES})
    """A second level that machines share: any address of fsspec's (`s3://BUCKET/FOLDER`, `gs://...`,
    `file:///...`) or a folder. Finished artifacts are pushed there, and fetched instead of computed.
    """
    wandb: str | None = path_field(None)
    """W&B's own files; none: what WANDB_DIR says, else `wandb` below `artifacts`."""
    data: str = field(default_factory=_default_data, metadata={PATH: PATH})
    """Real scores and pools for the experiments on them; default: the environment variable DS2_DATA, else
    `shared` beside the project.
    """

    @property
    def wandb_folder(self) -> Path:
        """Where W&B's own files go."""
        return Path(self.wandb or os.environ.get("WANDB_DIR") or Path(self.artifacts) / "wandb")


class OnWarning(Enum):
    warn = "warn"
    fail = "fail"
    """A warning before the first stage stops the run, one of a stage makes it fail: for a CI."""


class Until(Enum):
    """Last stage to run; the command adds a report of what there is."""

    sift = "sift"
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
    plugins: list[str] = field(default_factory=list)
    """Packages outside the clone that add choices; given on the command line, where they are read first."""
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
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)
    seed: int = 42
    """Fine-tuning and random choices only, so a seed sweep reuses everything up to selection."""
    until: Until = Until.report
    on_warning: OnWarning = OnWarning.warn
    plan: bool = False
    """Print the chain with what is cached, and exit."""
    prepare: bool = False
    """Fetch what the run needs (pool, models, benchmark data), and exit."""
