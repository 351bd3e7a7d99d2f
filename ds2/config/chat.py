"""A chat model and how it is asked, whoever asks: a rater, or the judge of `eval`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from importlib.util import find_spec
from typing import ClassVar

from ds2.config.base import NAME_OR_PATH, PATH, path_field


class ChatBackend(Enum):
    vllm = "vllm"
    openai = "openai"
    openai_batch = "openai_batch"
    transformers = "transformers"
    local = "local"
    """vLLM where it is installed, else transformers: identity is which of them it was."""

    @property
    def served(self) -> bool:
        """Whether it knows a model by its name at a server, not by its weights."""
        return self in (ChatBackend.openai, ChatBackend.openai_batch)

    @property
    def here(self) -> ChatBackend:
        """The back end that works on this machine."""
        if self is not ChatBackend.local:
            return self
        return ChatBackend.vllm if find_spec("vllm") is not None else ChatBackend.transformers


@dataclass
class ChatRuntime:
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
    """Copies of the model, each answering a shard (vLLM); none: as many as there are GPUs for."""
    gpu_memory: float = 0.9
    """Share of each GPU's memory (vLLM)."""
    poll_seconds: float = 60.0
    """Between looks at a batch (openai_batch)."""
    batch_requests: int = 50_000
    """At most so many requests in one batch: the API's limit, less where the account may queue fewer
    tokens."""
    batch_megabytes: float = 200.0
    """At most so many million bytes in one input file: the API's limit."""


@dataclass(kw_only=True)
class ChatConfig:
    """A chat model: where it is, how it samples, and how much it reads and writes."""

    group: ClassVar[str] = "chat"
    """What stands before these options where a person gives them (`rater.model`): messages name them so."""

    backend: ChatBackend
    model: str = field(metadata={PATH: NAME_OR_PATH})
    """Model on the hub, local directory, or name at the server."""
    revision: str | None = None
    """Branch, tag or commit of a hub model; enters the fingerprint as its commit."""
    base_url: str | None = None
    """Root of an OpenAI-compatible server; none: OpenAI. Where a model is served is not identity."""
    ca_file: str | None = path_field(None)
    """PEM file of a certificate to trust besides the known ones: a server's own, or its authority's."""
    api_version: str | None = None
    """Set for an Azure OpenAI resource, whose address is `base_url` and whose deployment is `model`."""
    temperature: float | None = None
    """None: the server's default."""
    top_p: float | None = None
    top_k: int | None = None
    quantization: str | None = None
    """How local weights are loaded, e.g. `bitsandbytes_4bit`, as the paper's authors ran them."""
    max_new_tokens: int = 128
    max_prompt_tokens: int = 2048
    """Length of the longest question; whoever asks cuts to it."""
    seed: int = 0
    """Seeds local sampling."""
    runtime: ChatRuntime = field(default_factory=ChatRuntime)

    @property
    def sampling(self) -> dict[str, float]:
        """The options of sampling that are set, by name."""
        options = {"temperature": self.temperature, "top_p": self.top_p, "top_k": self.top_k}
        return {name: value for name, value in options.items() if value is not None}
