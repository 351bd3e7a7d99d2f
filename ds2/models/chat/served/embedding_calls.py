"""Batches of texts to an embedding model, each sent once: vectors, or a fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import httpx2
import numpy as np
import openai
from numpy.typing import NDArray

from ds2.models.chat.served.format import Connection
from ds2.models.chat.served.listing import list_models
from ds2.models.chat.served.loop import SteppedLoop
from ds2.models.chat.served.policy import Fate, Fault, numbered
from ds2.models.chat.served.trouble import FAILURES, refusal, unreached
from ds2.models.chat.served.words import error_of, is_page, mapping, shortened, text_of, value_of

Vector = NDArray[np.float32]


class Text(Protocol):
    @property
    def text(self) -> str: ...


class EmbeddingCalls:
    """Sends batches of texts.

    Args:
        dimensions: width that is asked for; None: the model's own.
        timeout: seconds for a whole answer.
        decoded: a vector as it stands in the reply; None where it is none.
    """

    def __init__(
        self, connection: Connection, client: openai.AsyncOpenAI, loop: SteppedLoop, model: str,
        dimensions: int | None, timeout: float, decoded: Callable[[Any], Vector | None],
    ) -> None:  # fmt: skip
        self._connection, self._client, self._loop = connection, client, loop
        self._model, self._dimensions, self._timeout = model, dimensions, timeout
        self._decoded = decoded
        self.heard = False

    def find(self) -> str | None:
        """Look at the server. Returns its address where that is not the one given. Raises UserError."""
        return self._loop.run(list_models(self._client, self._connection, self._loop, self._timeout)).address

    async def send(self, batch: Sequence[Text]) -> list[Vector] | Fault:
        """Raises UserError where no text can be embedded."""
        vectors = await self._post([one.text for one in batch])
        if not isinstance(vectors, Fault):
            self.heard = True
            return vectors
        fate = vectors.fate(heard=self.heard)
        if fate is Fate.row and not self.heard and (fault := await self.plain()) is not None:
            raise refusal(fault, self._connection, self._model)
        if fate is Fate.run:
            raise refusal(vectors, self._connection, self._model)
        return vectors

    async def plain(self) -> Fault | None:
        """What is wrong with a text that nobody refuses; None: nothing."""
        vectors = await self._post(["A plain text."])
        if isinstance(vectors, Fault):
            return vectors
        self.heard = True
        return None

    async def _post(self, texts: list[str]) -> list[Vector] | Fault:
        body: dict[str, Any] = {"model": self._model, "input": texts}
        if self._dimensions is not None:
            body["dimensions"] = self._dimensions
        try:
            async with self._loop.within(self._timeout):
                raw = await self._client.post("/embeddings", cast_to=httpx2.Response, body=body)
        except openai.APIStatusError as error:
            return self._connection.fault(error)
        except FAILURES as error:
            return unreached(error, self._connection, self._timeout)
        text = text_of(raw.content)
        try:
            reply = value_of(text)
        except (ValueError, RecursionError):
            shown = self._connection.without_key(text)
            return Fault(f"the server sent no JSON but {shown[:100]!r}", page=is_page(text))
        return self._vectors(reply, len(texts))

    def _vectors(self, reply: Any, wanted: int) -> list[Vector] | Fault:
        entries = mapping(reply).get("data")
        if not isinstance(entries, list):
            words, code = error_of(reply)
            shown = words or f"the server sent no embeddings but {str(reply)[:200]!r}"
            return Fault(shortened(self._connection.without_key(shown)), numbered(code), code)
        rows: dict[int, Vector | None] = {}
        for place, entry in enumerate(map(mapping, entries)):
            rows[int(entry.get("index", place))] = self._decoded(entry.get("embedding"))
        vectors = [rows.get(place) for place in range(wanted)]
        usable = [vector for vector in vectors if vector is not None]
        if len(usable) < wanted:
            return Fault(f"the server sent {len(usable)} usable vectors for {wanted} texts")
        return usable
