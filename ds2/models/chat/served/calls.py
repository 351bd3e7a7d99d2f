"""One question, sent once to a server: an answer, or a failure and what it means for a further try.

What no question can pass (a wrong key, an unknown model, no credit) is an error at once. A refusal of one
question (another status 4xx, or a 403 once others were answered) is final for that question alone.
"""

from __future__ import annotations

import email.utils
import json
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import aiohttp
import openai

from ds2.base.errors import UserError
from ds2.models.chat import Answer, ChatRequest
from ds2.models.chat.served.format import PASSING, ChatFormat

_FORBIDDEN = 3
"""Questions answered with 403 before any other is answered: the key is refused, not a conversation."""
_UNSCHEMED = 3
"""Questions in a row that are answered only without the JSON schema: it is the schema that is refused."""
_NAMES_SCHEMA = re.compile("response_format|schema", re.IGNORECASE)


@dataclass(frozen=True)
class Delivery:
    """What came of sending a question once."""

    answer: Answer
    """`failed` where there is none."""
    wait: float | None = None
    """Seconds after which the server wants to be asked again, where it says so."""
    busy: bool = False
    """The server says that it is asked too much (429)."""


class ChatCalls:
    """Sends questions and learns what the server takes."""

    def __init__(self, format: ChatFormat, client: openai.AsyncOpenAI, say: Callable[[str], None]) -> None:
        self._format, self._connection, self._client, self._say = format, format.connection, client, say
        self._with_schema = format.form.schema is not None
        self._unschemed = self._forbidden = 0
        self._heard = False
        """Whether any question was answered."""

    async def send(self, request: ChatRequest) -> Delivery:
        """Raises UserError where no question can be answered."""
        try:
            answer = await self._ask(request)
        except openai.RateLimitError as error:
            if error.code == "insufficient_quota":
                raise self.refused(error) from None
            return Delivery(self._failed(request, error), _retry_after(error), busy=True)
        except (openai.AuthenticationError, openai.NotFoundError) as error:
            raise self.refused(error) from None
        except openai.PermissionDeniedError as error:
            self._forbidden += 1
            if self._forbidden >= _FORBIDDEN and not self._heard:
                raise self.refused(error) from None
            return Delivery(self._failed(request, error, final=True))
        except openai.APIStatusError as error:
            if error.code == "content_filter":
                return Delivery(Answer(request.key, self._connection.reason(error), finish="filtered"))
            passing = error.status_code in PASSING or error.status_code >= 500
            return Delivery(self._failed(request, error, final=not passing), _retry_after(error))
        except openai.APIConnectionError as error:
            return Delivery(self._failed(request, error))
        except aiohttp.ClientError as error:  # not translated by the client: a garbled status line, say
            words = f"{type(error).__name__}: {self._connection.without_key(error)}"
            return Delivery(Answer(request.key, words[:300], finish="failed"))
        self._heard = self._heard or answer.finish != "failed"
        return Delivery(answer)

    def refused(self, error: openai.APIStatusError) -> UserError:
        """What the user has to change where nothing can be asked."""
        name, key = self._connection.name, self._connection.variable
        reason = self._connection.reason(error)
        if error.status_code in (401, 403):
            unset = ": none is set" if self._connection.key is None else ""
            return UserError(f"{name} refuses the key in {key} ({reason}){unset}")
        if error.status_code == 404:
            address = self._connection.base_url
            lacking = (
                address and self._connection.api_version is None and not urlsplit(address).path.strip("/")
            )
            option = f"{self._connection.group}.base_url"
            advice = f"; most servers answer below /v1: {option}={str(address).rstrip('/')}/v1"
            return UserError(
                f"{name} has no model {self._format.model} ({reason}){advice if lacking else ''}"
            )
        return UserError(f"{name} has no credit left for this key ({reason})")

    async def _ask(self, request: ChatRequest) -> Answer:
        """With the schema while the server takes it; once more without it where the question is refused."""
        if not self._with_schema:
            return await self._post(request, with_schema=False)
        try:
            answer = await self._post(request, with_schema=True)
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            if error.code == "content_filter":
                raise
            reason = self._connection.reason(error)
        else:
            self._unschemed = 0
            return answer
        answer = await self._post(request, with_schema=False)
        self._unschemed += 1
        if self._with_schema and (_NAMES_SCHEMA.search(reason) or self._unschemed == _UNSCHEMED):
            self._with_schema = False
            self._say(
                f"{self._connection.name} refuses the JSON schema ({reason}): asked without it from now on"
            )
        return answer

    async def _post(self, request: ChatRequest, *, with_schema: bool) -> Answer:
        body = self._format.body(request, with_schema=with_schema)
        model, messages = body.pop("model"), body.pop("messages")
        raw = await self._client.chat.completions.with_raw_response.create(
            model=model, messages=messages, extra_body=body
        )
        # Not valid UTF-8 somewhere: the digits may still be there.
        said = raw.content.decode("utf-8", errors="replace")
        try:
            completion = json.loads(said)
        except ValueError:
            shown = self._connection.without_key(said)  # before the cut: a part of the key is no longer found
            return Answer(request.key, f"the server sent no JSON but {shown[:100]!r}", finish="failed")
        answer = self._format.answer(request.key, completion)
        return replace(answer, without_schema=self._format.form.schema is not None and not with_schema)

    def _failed(self, request: ChatRequest, error: openai.APIError, *, final: bool = False) -> Answer:
        return Answer(request.key, self._connection.reason(error), finish="failed", final=final)


def _retry_after(error: openai.APIStatusError) -> float | None:
    """Seconds that the server asks to wait; None where it does not say, or says none."""
    headers: Mapping[str, str] = error.response.headers
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds):
            return seconds if seconds > 0 else None
    try:
        moment = email.utils.parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError):
        return None
    left = moment.timestamp() - time.time()
    return left if left > 0 else None
