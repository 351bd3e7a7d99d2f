"""Chat Completions, whoever carries them: bodies of requests, answers in completions, clients with their key.

Keys come from the environment only: `OPENAI_API_KEY`, or `AZURE_OPENAI_API_KEY` for an Azure resource.
Whatever a server says passes through `Connection.without_key` before anybody sees it, because some servers
repeat the key in their errors.
"""

from __future__ import annotations

import json
import math
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import openai

from ds2.base.errors import UserError
from ds2.config import ChatConfig
from ds2.models.chat import Answer, AnswerForm, ChatRequest
from ds2.models.chat.served.address import check_address, root_of, server_name
from ds2.models.chat.served.policy import Fault, numbered, wait_of
from ds2.models.chat.served.terms import LIKELY_TOKENS, SCHEMA, Terms
from ds2.models.chat.served.words import count, error_of, mapping, shortened, text_of, value_of, words_of

_LEAST_MASS = 0.5
"""Share of the first token's probability that must be on the form's tokens for their distribution to mean
anything."""


@dataclass(frozen=True)
class Connection:
    """Where a server is and what opens it.

    Raises:
        UserError: no key or no address where one is needed, or a key that none can be.
    """

    base_url: str | None
    """None: OpenAI (or what `OPENAI_BASE_URL` says)."""
    api_version: str | None = None
    """Set for an Azure resource."""
    group: str = ChatConfig.group
    """What stands before the options in messages."""
    ca_file: str | None = None
    """Certificates to trust besides the known ones."""

    def __post_init__(self) -> None:
        if self.api_version is not None and self.base_url is None:
            raise UserError(
                f"{self.group}.api_version is for an Azure resource: give its address as "
                f"{self.group}.base_url"
            )
        check_address(self.base_url, self.group)
        if self.key is not None and not (self.key.isascii() and self.key.isprintable()):
            raise UserError(f"{self.variable} holds characters that no key has: set it anew")
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
        """Without the line feed with which a secret that is mounted as a file ends."""
        return os.environ.get(self.variable, "").strip() or None

    @property
    def name(self) -> str:
        """For messages."""
        return server_name(self.base_url)

    def without_key(self, text: object) -> str:
        """One line of a server's words, without the key."""
        line = " ".join(str(text).split())
        return line.replace(self.key, "***") if self.key else line

    def trust(self) -> ssl.SSLContext:
        """The certificates that are trusted: the known ones, and those of `ca_file`. Raises UserError."""
        context = httpx2.create_ssl_context()
        if self.ca_file is not None:
            try:
                context.load_verify_locations(Path(self.ca_file).expanduser())
            except OSError as error:  # also what is no certificate
                option = f"{self.group}.ca_file={self.ca_file}"
                raise UserError(f"{option} cannot be read as PEM certificates: {error}") from error
        return context

    def client(self, timeout: float) -> openai.OpenAI:
        """A blocking client, which tries each call once."""
        options: dict[str, Any] = {"timeout": timeout, "max_retries": 0, "api_key": self.key or "none"}
        if self.ca_file is not None:
            options["http_client"] = openai.DefaultHttpxClient(timeout=timeout, verify=self.trust())
        if self.api_version is None:
            return openai.OpenAI(base_url=self.base_url, **options)
        return openai.AzureOpenAI(azure_endpoint=str(self.base_url), api_version=self.api_version, **options)

    def async_client(self, concurrency: int) -> openai.AsyncOpenAI:
        """A client for many calls at once, which tries each once and waits as long as its caller does.

        Over aiohttp, because the default transport looks at every open connection for each request.
        """
        limits = type(openai.DEFAULT_CONNECTION_LIMITS)(
            max_connections=concurrency, max_keepalive_connections=concurrency
        )
        trusted: dict[str, Any] = {} if self.ca_file is None else {"verify": self.trust()}
        options: dict[str, Any] = {
            "timeout": None, "max_retries": 0, "api_key": self.key or "none",
            "http_client": openai.DefaultAioHttpClient(limits=limits, timeout=None, **trusted),
        }  # fmt: skip
        if self.api_version is None:
            return openai.AsyncOpenAI(base_url=self.base_url, **options)
        return openai.AsyncAzureOpenAI(
            azure_endpoint=str(self.base_url), api_version=self.api_version, **options
        )

    def reason(self, error: openai.APIError) -> str:
        """One line of an error: its status and the server's own words, without what was sent."""
        if isinstance(error, openai.APIStatusError):
            return self.fault(error).reason
        return shortened(self.without_key(error.message))

    def fault(self, error: openai.APIStatusError) -> Fault:
        """What a response with a status of 400 or more says."""
        text = text_of(error.response.content)
        words, code = words_of(text)
        return Fault(
            shortened(self.without_key(words)) or "no words", error.status_code, code,
            wait_of(error.response.headers, _value(text)),
        )  # fmt: skip


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
        address = None if config.base_url is None else root_of(config.base_url)
        connection = Connection(address, config.api_version, config.group, config.ca_file)
        if form.tokens:
            return cls(connection, config.model, 1, form=form)
        return cls(connection, config.model, config.max_new_tokens, config.sampling, form)

    @property
    def terms(self) -> Terms:
        """What goes with every question, as long as the server takes it; only what was set is sent."""
        # OpenAI's newer models know only the new name, other servers often only the old one.
        newer = self.connection.base_url is None or self.connection.api_version is not None
        options: dict[str, Any] = {"max_completion_tokens" if newer else "max_tokens": self.max_new_tokens}
        options |= self.sampling
        if self.form.schema is not None:
            schema = {"name": self.form.name, "strict": True, "schema": self.form.schema}
            options[SCHEMA] = {"type": "json_schema", "json_schema": schema}
        if self.form.tokens:
            options |= {"logprobs": True, "top_logprobs": LIKELY_TOKENS}
        return Terms(options)

    def body(self, request: ChatRequest, terms: Terms | None = None) -> dict[str, Any]:
        """The JSON body of a chat completion."""
        options = (terms or self.terms).options
        return {"model": self.model, "messages": list(request.chat), **options}

    def answer(self, key: str, completion: Any) -> Answer | Fault:
        """The answer in the body of a completion, or why there is none."""
        whole = mapping(completion)
        choices = whole.get("choices")
        choice = mapping(choices[0]) if isinstance(choices, list) and choices else {}
        message = choice.get("message")
        failed = choice.get("error") or (None if isinstance(message, dict) else whole.get("error"))
        if failed or choice.get("finish_reason") == "error":
            words, code = error_of(failed or choice.get("native_finish_reason"))
            return self._fault(words or "the server ended the answer with an error", code)
        if not isinstance(message, dict):
            said = error_of(completion)[0] if isinstance(completion, dict | list) else ""
            shown = said or f"the server sent no chat completion but {str(completion)[:200]!r}"
            return self._fault(shown, "")
        return self._answer(key, whole, choice, message)

    def _fault(self, words: str, code: str) -> Fault:
        """An error that came with status 200."""
        return Fault(shortened(self.connection.without_key(words)), numbered(code), code)

    def _answer(
        self, key: str, whole: Mapping[str, Any], choice: Mapping[str, Any], message: Mapping[str, Any]
    ) -> Answer:
        usage, refusal = mapping(whole.get("usage")), message.get("refusal")
        finish = _FINISH.get(choice.get("finish_reason") or "", "stop")
        thought = _parts(message.get("reasoning_content") or message.get("reasoning"))
        text = _parts(message.get("content")) or _call(message)
        if not text.strip() and thought:  # all that there is: unfinished, or an answer in the wrong place
            text = f"<think>{thought}" if finish == "length" else thought
        return Answer(
            key,
            self._clean(refusal or text),
            "refusal" if refusal else finish,
            count(usage.get("prompt_tokens")),
            count(mapping(usage.get("prompt_tokens_details")).get("cached_tokens")),
            count(usage.get("completion_tokens")),
            self._distribution(choice) if self.form.tokens and not refusal else None,
            self._clean(whole.get("model") or ""),
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


def _parts(content: object) -> str:
    """A text that may come in parts; what a model thought is not part of its answer."""
    if isinstance(content, list):
        parts = [part for part in map(mapping, content) if part.get("type") not in ("thinking", "reasoning")]
        return "".join(str(part.get("text") or "") for part in parts)
    return str(content or "")


def _call(message: Mapping[str, Any]) -> str:
    """What a model said in the arguments of a tool call, though no tool was given to it."""
    calls = message.get("tool_calls")
    first = mapping(calls[0]).get("function") if isinstance(calls, list) and calls else None
    arguments = mapping(first or message.get("function_call")).get("arguments")
    return arguments if isinstance(arguments, str) else json.dumps(arguments) if arguments else ""


def _value(text: str) -> Any:
    """The JSON value of an error's body; None where it is something else."""
    try:
        return value_of(text)
    except (ValueError, RecursionError):
        return None
