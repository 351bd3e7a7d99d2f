"""What a person can choose: one dataclass for each group under `conf/`, and `RunConfig` over all of them.

Dataclasses hold names, types and meanings; the YAML files hold values. A field under a `runtime`
sub-dataclass says how to execute a stage (device, batch size of inference, workers) and never reaches a
fingerprint: two runs that differ only there share every artifact.
"""

from ds2.config.base import MISSING, register
from ds2.config.chat import ChatBackend, ChatConfig, ChatRuntime
from ds2.config.curation import (
    CurationConfig,
    EmbedderConfig,
    EmbedderRuntime,
    KnnConfig,
    KnnRuntime,
    SentenceEmbedderConfig,
    TfidfEmbedderConfig,
)
from ds2.config.pool import (
    BadRows,
    DuplicateIds,
    FilesPoolConfig,
    HubPoolConfig,
    MiniPoolConfig,
    PoolConfig,
    PoolFormat,
    RowsPoolConfig,
    Turns,
)
from ds2.config.rating import (
    ColumnRaterConfig,
    LlmRaterConfig,
    PriceConfig,
    RaterConfig,
    RaterRuntime,
    RatingUnit,
    Reading,
    ReleasedRaterConfig,
    ScaleConfig,
    SeveralRatersConfig,
    SimulatedRaterConfig,
    Unrated,
)
from ds2.config.run import (
    PathsConfig,
    RunConfig,
    RuntimeConfig,
    TrackingConfig,
    TrackingMode,
    Until,
)
from ds2.config.schemas import register_schemas
from ds2.config.selection import (
    BudgetConfig,
    Score,
    SelectionConfig,
)
from ds2.config.training import (
    EvalBackend,
    EvalConfig,
    EvalRuntime,
    FinetuneConfig,
    FinetuneRuntime,
    HubModelConfig,
    MiniModelConfig,
    ModelConfig,
    PretrainRuntime,
    Quantization,
    TinyModelConfig,
)
from ds2.method.choices import CurationMethod, Device, HocSolver, KnnMethod, OnUninformative

__all__ = [
    "MISSING",
    "BadRows",
    "BudgetConfig",
    "ChatBackend",
    "ChatConfig",
    "ChatRuntime",
    "ColumnRaterConfig",
    "CurationConfig",
    "CurationMethod",
    "Device",
    "DuplicateIds",
    "EmbedderConfig",
    "EmbedderRuntime",
    "EvalBackend",
    "EvalConfig",
    "EvalRuntime",
    "FilesPoolConfig",
    "FinetuneConfig",
    "FinetuneRuntime",
    "HocSolver",
    "HubModelConfig",
    "HubPoolConfig",
    "KnnConfig",
    "KnnMethod",
    "KnnRuntime",
    "LlmRaterConfig",
    "MiniModelConfig",
    "MiniPoolConfig",
    "ModelConfig",
    "OnUninformative",
    "PathsConfig",
    "PoolConfig",
    "PoolFormat",
    "PretrainRuntime",
    "PriceConfig",
    "Quantization",
    "RaterConfig",
    "RaterRuntime",
    "RatingUnit",
    "Reading",
    "ReleasedRaterConfig",
    "RowsPoolConfig",
    "RunConfig",
    "RuntimeConfig",
    "ScaleConfig",
    "Score",
    "SelectionConfig",
    "SentenceEmbedderConfig",
    "SeveralRatersConfig",
    "SimulatedRaterConfig",
    "TfidfEmbedderConfig",
    "TinyModelConfig",
    "TrackingConfig",
    "TrackingMode",
    "Turns",
    "Unrated",
    "Until",
    "register",
    "register_schemas",
]
