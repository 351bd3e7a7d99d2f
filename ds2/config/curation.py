"""Embedding, graph and curation."""

from __future__ import annotations

from dataclasses import dataclass, field

from ds2.config.base import MISSING, Extensible, cost_field, name_or_path_field, path_field, register
from ds2.config.rating import CONFIDENCE
from ds2.method.choices import CurationMethod, Device, HocSolver, KnnMethod, Length, OnUninformative


@dataclass
class EmbedderConfig(Extensible):
    name: str = MISSING
    flops: float | None = cost_field()
    """Floating-point operations that embedding the pool took, where nothing tells: a server, a plugin. For
    costs and `budget.flops` only; 0: it counts as free."""


@dataclass
class EmbedderRuntime:
    device: str = "auto"
    batch_size: int = 64
    """Texts per forward pass."""


@register("embedder", "sentence_embedder")
@dataclass
class SentenceEmbedderConfig(EmbedderConfig):
    """A sentence-transformers model; the text is the whole conversation, `### role: content` a message."""

    model: str = name_or_path_field()
    """Hub name or local directory."""
    revision: str | None = None
    max_tokens: int | None = None
    """Cut of a text before embedding; none: the model's own limit."""
    runtime: EmbedderRuntime = field(default_factory=EmbedderRuntime)


@dataclass
class ServerEmbedderRuntime:
    concurrency: int = 8
    """Requests in flight."""
    batch_size: int = 32
    """Texts in a request."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    timeout: float = 120.0
    """Seconds until a request counts as lost."""


@register("embedder", "server_embedder")
@dataclass
class ServerEmbedderConfig(EmbedderConfig):
    """A model behind OpenAI's embeddings API (vLLM, TEI, Ollama, a hosted one); the text is the whole
    conversation, `### role: content` a message."""

    model: str = MISSING
    """Name at the server. Where it is served is not identity."""
    base_url: str | None = None
    """Root of the server; none: OpenAI. The key is in OPENAI_API_KEY."""
    ca_file: str | None = path_field(None)
    """PEM file of a certificate to trust besides the known ones."""
    dimensions: int | None = None
    """Width that the server is asked for, where its model has several; none: its own."""
    max_tokens: int | None = None
    """Cut of a text before embedding, by a cautious estimate; none: whole, and halved where the server
    finds it too long."""
    runtime: ServerEmbedderRuntime = field(default_factory=ServerEmbedderRuntime)


@register("embedder", "tfidf_embedder")
@dataclass
class TfidfEmbedderConfig(EmbedderConfig):
    """TF-IDF over the contents, then truncated SVD: needs no weights."""

    dimensions: int = 128
    """Width after the SVD; the vocabulary's own where it or the pool is no larger."""
    min_df: int = 2
    """Terms in fewer texts are dropped."""
    max_df: float = 1.0
    """Terms in a larger share of texts are dropped."""


@dataclass
class KnnRuntime:
    device: Device = Device.cpu
    """Where the exact search runs; the graph is the same up to ties."""


@register("knn", "knn")
@dataclass
class KnnConfig:
    method: KnnMethod = KnnMethod.exact
    k: int = 96
    """Neighbours stored per sample, itself excluded. Subsampled rounds read the sampled ones among these."""
    runtime: KnnRuntime = field(default_factory=KnnRuntime)


@register("curation", "curation")
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
    """Resamples for intervals, error probabilities and the selection's stability; 0: none."""
    on_uninformative: OnUninformative = OnUninformative.warn
    """What to do when neighbours carry no information about this rater."""
    length: Length = Length.as_rated
    """What `refine` makes of the length of texts."""
    anchors: str | None = path_field(None)
    """CSV of people's scores of some samples (`ds2 anchors draw` makes one), for `refine` and `posterior`:
    they judge the rater, and move the order as far as they show a gain out of sample."""
    rater_accuracy: float | None = None
    """How often the rater is known to give the true score, above chance and at most 0.99; for `posterior`,
    which then holds the transition matrix at it."""
    seed: int = 0

    @property
    def without_say(self) -> tuple[str, ...]:
        """Fields that the method does not read, or that are not given: no part of what it gives."""
        told = tuple(name for name in ("anchors", "rater_accuracy") if getattr(self, name) is None)
        if self.method is CurationMethod.refine:
            return (
                "confidence", "duplicate_pool", "hoc_solver", "bootstrap", "on_uninformative", *told
            )  # fmt: skip
        return ("length", *told)
