"""Embedding, graph and curation."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from ds2.config.base import MISSING
from ds2.config.rating import CONFIDENCE


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


class Device(Enum):
    cpu = "cpu"
    cuda = "cuda"


@dataclass
class KnnRuntime:
    device: Device = Device.cpu
    """Where the exact search runs; the graph is the same up to ties."""


@dataclass
class KnnConfig:
    method: KnnMethod = KnnMethod.exact
    k: int = 96
    """Neighbours stored per sample, itself excluded. Subsampled rounds read the sampled ones among these."""
    runtime: KnnRuntime = field(default_factory=KnnRuntime)


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


class HocSolver(Enum):
    adam = "adam"
    """The paper's optimiser."""
    multistart = "multistart"
    """Deterministic, from several starts, with the true scores named so that the rater is right most
    often."""


@dataclass
class CurationConfig:
    method: CurationMethod = MISSING
    k: int = 10
    """Neighbours per sample; counts the sample itself for `rank` and the long-tail score, not for
    `posterior`."""
    confidence: float = CONFIDENCE
    """Replacement threshold of `rank`, whose YAML takes the rater's (`rater.confidence`); the other methods
    have none."""
    duplicate_pool: bool = False
    """Concatenate the pool with itself as the released code does; for parity only."""
    hoc_solver: HocSolver = HocSolver.adam
    """How `rank` fits the transition matrix."""
    bootstrap: int = 0
    """Resamples for intervals, error probabilities and the selection's stability (`uncertainty.json`); 0:
    none."""
    on_uninformative: OnUninformative = OnUninformative.warn
    """What to do when neighbours carry no information about this rater."""
    seed: int = 0
