"""Chat Completions, whoever carries them: bodies of requests, answers in completions, clients with their key.

Keys come from the environment only: `OPENAI_API_KEY`, or `AZURE_OPENAI_API_KEY` for an Azure resource.
Whatever a server says passes through `Connection.without_key` before anybody sees it, because some servers
repeat the key in their errors.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import openai

from ds2.base.errors import UserError
from ds2.config import ChatConfig
from ds2.models.chat import Answer, AnswerForm, ChatRequest
from ds2.models.chat.served.address import server_name

PASSING = frozenset({408, 409, 425, 429})
"""Statuses below 500 after which the same call may succeed."""
_LIKELY_TOKENS = 20
"""First tokens whose probabilities a server gives, at most."""
_LEAST_MASS = 0.5
"""Share of the first token's probability that must be on the form's tokens for their distribution to mean
anything."""


@dataclass(frozen=True)
class Connection:
    """Where a server is and what opens it.

    Raises:
        UserError: no key or no address where one is needed.
    """

    base_url: str | None
    """None: OpenAI (or what `OPENAI_BASE_URL` says)."""
    api_version: str | None = None
    """Set for an Azure resource."""
    group: str = ChatConfig.group
    """What stands before the options in messages."""

    def __post_init__(self) -> None:
        if self.api_version is not None and self.base_url is None:
            raise UserError(
                f"{self.group}.api_version is for an Azure resource: give its address as "
                f"{self.group}.base_url"
            )
        if self.base_url is None and self.key is None:
            raise UserError(
                f"there is no key: set {self.variable} in the environment, or give {self.group}.base_url"
            )

    @property
    def variable(self) -> str:
        """The environment variable of the key."""
        return "OPENAI_API_KEY" if self.api_version is None else "AZURE_OPENAI_API_KEY"

    @property
    def key(self) -> str | None:
        return os.environ.get(self.variable) or None

    @property
    def name(self) -> str:
        """For messages."""
        return server_name(self.base_url)

    def without_key(self, text: object) -> str:
        """One line of a server's words, without the key."""
        line = " ".join(str(text).split())
        return line.replace(self.key, "***") if self.key else line

    def client(self, timeout: float) -> openai.OpenAI:
        """A blocking client, which tries each call once."""
        options: dict[str, Any] = {"timeout": timeout, "max_retries": 0, "api_key": self.key or "none"}
        if self.api_version is None:
            return openai.OpenAI(base_url=self.base_url, **options)
        return openai.AzureOpenAI(azure_endpoint=str(self.base_url), api_version=self.api_version, **options)

    def async_client(self, timeout: float, concurrency: int) -> openai.AsyncOpenAI:
        """A client for many calls at once, which tries each once.

        Over aiohttp, because the default transport looks at every open connection for each request.
        """
        limits = type(openai.DEFAULT_CONNECTION_LIMITS)(
            max_connections=concurrency, max_keepalive_connections=concurrency
        )
        options: dict[str, Any] = {
            "timeout": timeout, "max_retries": 0, "api_key": self.key or "none",
            "http_client": openai.DefaultAioHttpClient(limits=limits, timeout=timeout),
        }  # fmt: skip
        if self.api_version is None:
            return openai.AsyncOpenAI(base_url=self.base_url, **options)
        return openai.AsyncAzureOpenAI(
            azure_endpoint=str(self.base_url), api_version=self.api_version, **options
        )

    def reason(self, error: openai.APIError) -> str:
        """One line of an error: its status and the server's own words, without what was sent."""
        status = f"status {error.status_code}, " if isinstance(error, openai.APIStatusError) else ""
        said = error.body.get("message") if isinstance(error.body, dict) else None
        return status + self.without_key(said or error.message)[:300]


@dataclass(frozen=True)
class ChatFormat:
    """How one model is asked: what every request of a stage has in common."""

    connection: Connection
    model: str
    max_new_tokens: int
    sampling: Mapping[str, float] = field(default_factory=dict)
    """Options of sampling, by name."""
    form: AnswerForm = field(default_factory=AnswerForm)

    @classmethod
    def of(cls, config: ChatConfig, form: AnswerForm) -> ChatFormat:
        """How this model is asked for answers of this form."""
        connection = Connection(config.base_url, config.api_version, config.group)
        if form.tokens:
            return cls(connection, config.model, 1, form=form)
        return cls(connection, config.model, config.max_new_tokens, config.sampling, form)

    def body(self, request: ChatRequest, *, with_schema: bool = True) -> dict[str, Any]:
        """The JSON body of a chat completion; only what was set is sent."""
        # OpenAI's newer models know only the new name, other servers often only the old one.
        newer = self.connection.base_url is None or self.connection.api_version is not None
        body: dict[str, Any] = {
            "model": self.model,
            "messages": list(request.chat),
            "max_completion_tokens" if newer else "max_tokens": self.max_new_tokens,
        }
        body |= self.sampling
        if self.form.schema is not None and with_schema:
            schema = {"name": self.form.name, "strict": True, "schema": self.form.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if self.form.tokens:
            body |= {"logprobs": True, "top_logprobs": _LIKELY_TOKENS}
        return body

    def answer(self, key: str, completion: Any) -> Answer:
        """The answer in a chat completion; `failed` where it is none."""
        try:
            choice = completion["choices"][0]
            message = choice["message"]
            text, refusal = message.get("content"), message.get("refusal")
        except (KeyError, IndexError, TypeError, AttributeError):
            said = self.connection.without_key(completion)[:200]
            return Answer(key, f"the server sent no chat completion but {said!r}", finish="failed")
        if isinstance(text, list):  # content in parts
            text = "".join(str(part.get("text", "")) for part in text if isinstance(part, dict))
        usage = mapping(completion.get("usage"))
        return Answer(
            key,
            self._clean(refusal or text or ""),
            "refusal" if refusal else _FINISH.get(choice.get("finish_reason"), "stop"),
            count(usage.get("prompt_tokens")),
            count(mapping(usage.get("prompt_tokens_details")).get("cached_tokens")),
            count(usage.get("completion_tokens")),
            self._distribution(choice) if self.form.tokens and not refusal else None,
            str(completion.get("model") or ""),
        )

    def _clean(self, text: object) -> str:
        """As it came, without the key and without halves of characters, which no file can hold."""
        whole = str(text).encode("utf-8", "replace").decode()
        return whole.replace(self.connection.key, "***") if self.connection.key else whole

    def _distribution(self, choice: Mapping[str, Any]) -> tuple[float, ...] | None:
        """`Answer.distribution`, from the likely first tokens."""
        tokens = mapping(choice.get("logprobs")).get("content")
        likely = mapping(tokens[0]).get("top_logprobs") if isinstance(tokens, list) and tokens else None
        if not isinstance(likely, list):
            return ()
        mass = dict.fromkeys(self.form.tokens, 0.0)
        for entry in map(mapping, likely):
            token, log = str(entry.get("token")).strip(" ▁Ġ\n"), entry.get("logprob")
            if token in mass and isinstance(log, int | float):
                mass[token] += math.exp(min(log, 0.0))
        total = math.fsum(mass.values())
        return tuple(share / total for share in mass.values()) if total >= _LEAST_MASS else None


_FINISH = {"length": "length", "content_filter": "filtered"}


def mapping(value: object) -> Mapping[str, Any]:
    """A part of a reply that should be an object; empty where it is something else."""
    return value if isinstance(value, dict) else {}


def count(value: object) -> int:
    """A part of a reply that should be a number; 0 where it is something else."""
    return value if isinstance(value, int) else 0
