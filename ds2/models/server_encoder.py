"""Embeddings from a server that speaks OpenAI's embeddings API, each kept on disk before it counts.

Delivered, paced and given up as answers of chat models are (`ds2.models.chat.served`). A batch that the
server refuses is halved until the text at fault stands alone; one that is too long is cut in half.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ds2.base.engine import HERE, Engine
from ds2.base.errors import UserError
from ds2.base.hashes import canonical_json
from ds2.base.progress import Bar
from ds2.config import ServerEmbedderConfig
from ds2.models.chat import Place
from ds2.models.chat.served.address import check_address, root_of
from ds2.models.chat.served.policy import Fate, Fault
from ds2.models.chat.spread import shared_out
from ds2.models.chat.tokens import estimate_tokens
from ds2.models.kept_log import KeptLog
from ds2.models.parts import PART

FILE = "embeddings.sqlite"
_SCHEMA = "CREATE TABLE IF NOT EXISTS vectors (key TEXT PRIMARY KEY, vector BLOB)"
_GROUP = "embedder"
_HALVES = 6
"""Times that a text may be cut in half."""

Vector = NDArray[np.float32]


class VectorLog(KeptLog):
    """Vectors by the hash of what decides them: see `KeptLog`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / FILE, _SCHEMA)

    def get(self, key: str) -> Vector | None:
        row = self._execute("SELECT vector FROM vectors WHERE key = ?", key).fetchone()
        return None if row is None else np.frombuffer(row[0], dtype="<f4").astype(np.float32)

    def add(self, key: str, vector: Vector) -> None:
        self._execute("INSERT OR IGNORE INTO vectors VALUES (?, ?)", key, vector.astype("<f4").tobytes())


@dataclass(frozen=True)
class _Text:
    """A text to embed, as it is sent."""

    position: int
    key: str
    text: str
    halved: int = 0


_Batch = tuple[_Text, ...]


def check(config: ServerEmbedderConfig) -> None:
    """Refuse settings that cannot work, before anything is asked. Raises UserError."""
    check_address(config.base_url, _GROUP)
    for name in ("concurrency", "batch_size", "timeout", "requests_per_minute", "tokens_per_minute"):
        if (value := getattr(config.runtime, name)) is not None and value <= 0:
            raise UserError(f"embedder.runtime.{name}={value} must be positive")


def encode(
    config: ServerEmbedderConfig, texts: Sequence[str], *, folder: Path, progress: bool, engine: Engine = HERE
) -> Iterator[Vector]:
    """(n, d) rows of N texts, in blocks of `PART`, when the log holds all of them; not normalised.

    Args:
        folder: where the log of vectors is.

    Raises:
        UserError: the server cannot be asked, refuses a text for what it says, or its rows differ in width.
    """
    said = f"embedding by {config.name}"
    with VectorLog(folder) as log:
        with Bar(total=len(texts), desc=said, unit=" texts", disable=not progress) as bar:
            waiting: Counter[str] = Counter()
            for one, vector in _by_engine(config, _missing(config, texts, log, waiting, bar), engine):
                log.add(one.key, vector)
                bar.update(waiting.pop(one.key))
        widths: set[int] = set()
        for at in range(0, len(texts), PART):
            rows = [log.get(_key(config, _fitted(text, config.max_tokens))) for text in texts[at : at + PART]]
            widths |= {len(row) for row in rows if row is not None}
            if len(widths) > 1:
                several = f"rows of several widths: {sorted(widths)}"
                raise UserError(f"embedder.model={config.model} gave {several}")
            yield np.stack([row for row in rows if row is not None])


def _missing(
    config: ServerEmbedderConfig,
    texts: Iterable[str],
    log: VectorLog,
    waiting: Counter[str],
    bar: Bar,
) -> Iterator[_Text]:
    """What is still to be asked, looked up as it is drawn; those equal to it are counted in `waiting`."""
    for position, text in enumerate(texts):
        cut = _fitted(text, config.max_tokens)
        key = _key(config, cut)
        if log.get(key) is not None:
            bar.update()
            continue
        waiting[key] += 1
        if waiting[key] == 1:
            yield _Text(position, key, cut)


def _key(config: ServerEmbedderConfig, text: str) -> str:
    whole = [config.model, config.dimensions, text.encode("utf-8", "replace").decode()]
    return hashlib.sha256(canonical_json(whole)).hexdigest()[:32]


def _fitted(text: str, max_tokens: int | None) -> str:
    """The start of a text that has so many tokens."""
    if max_tokens is not None:
        while (tokens := estimate_tokens(text)) > max_tokens:
            text = text[: max(1, int(len(text) * max_tokens / tokens * 0.99))]
    return text


def _by_engine(
    config: ServerEmbedderConfig, texts: Iterator[_Text], engine: Engine
) -> Iterator[tuple[_Text, Vector]]:
    """Each text with its vector: asked by this process, or by actors that share the limits."""
    first = next(texts, None)
    if first is None:
        return
    texts = chain([first], texts)
    if not engine.actors:
        yield from _asked(config, texts)
        return
    runtime = config.runtime
    config = replace(config, runtime=shared_out(runtime, engine.actors))
    size = config.runtime.batch_size * config.runtime.concurrency
    for _, (vectors, error) in engine.map(partial(_asker, config), _batches(texts, size)):
        yield from vectors
        if error is not None:
            raise error


def _asker(
    config: ServerEmbedderConfig,
) -> Callable[[Sequence[_Text]], tuple[list[tuple[_Text, Vector]], UserError | None]]:
    """An actor's worker: vectors of a shard, and why there are no more."""

    def ask(texts: Sequence[_Text]) -> tuple[list[tuple[_Text, Vector]], UserError | None]:
        vectors: list[tuple[_Text, Vector]] = []
        try:
            vectors.extend(_asked(config, texts))  # what came before an error stays
        except UserError as error:
            return vectors, error
        return vectors, None

    return ask


def _batches(texts: Iterable[_Text], size: int) -> Iterator[_Batch]:
    source = iter(texts)
    while batch := tuple(islice(source, size)):
        yield batch


def _asked(config: ServerEmbedderConfig, texts: Iterable[_Text]) -> Iterator[tuple[_Text, Vector]]:
    """Each text with its vector, in whatever order they come."""
    from ds2.models.chat.served.courier import Courier
    from ds2.models.chat.served.embedding_calls import EmbeddingCalls
    from ds2.models.chat.served.format import Connection
    from ds2.models.chat.served.loop import SteppedLoop

    address = None if config.base_url is None else root_of(config.base_url)
    connection = Connection(address, None, _GROUP, config.ca_file)
    halved = 0
    loop = SteppedLoop()
    client = connection.async_client(config.runtime.concurrency)
    calls = EmbeddingCalls(
        connection, client, loop, config.model, config.dimensions, config.runtime.timeout, decoded
    )
    courier: Courier[_Batch, list[Vector]] = Courier(
        calls, loop, config.runtime, Place(Path(), tqdm.write), connection.name,
        tokens=lambda batch: sum(estimate_tokens(one.text) for one in batch), used=lambda vectors: 0.0,
    )  # fmt: skip
    try:
        if (found := calls.find()) is not None:
            tqdm.write(f"{connection.name} answers below /v1: {_GROUP}.base_url={found}")
        left: Iterable[_Batch] = _batches(texts, config.runtime.batch_size)
        while left:
            again: list[_Batch] = []
            for came in courier.answers(left):
                for batch, vectors in came:
                    if not isinstance(vectors, Fault):
                        yield from zip(batch, vectors, strict=True)
                for batch, fault in came:  # after the vectors that came with it, which are paid for
                    if isinstance(fault, Fault):
                        again += _smaller(batch, fault, connection.name)
                        halved += len(batch) == 1
            left = again
        if halved:
            tqdm.write(f"texts were cut in half {halved:,} times: {connection.name} finds them too long")
    finally:
        loop.run(client.close())
        loop.close()


def _smaller(batch: _Batch, fault: Fault, name: str) -> list[_Batch]:
    """What to ask instead of a batch that was not answered. Raises UserError where there is nothing."""
    if fault.fate(heard=True) is Fate.row or len(batch) > 1:
        if len(batch) > 1:
            middle = len(batch) // 2
            return [batch[:middle], batch[middle:]]
        (one,) = batch
        if (fault.too_long or fault.status == 413) and one.halved < _HALVES:
            return [(_Text(one.position, one.key, one.text[: len(one.text) // 2], one.halved + 1),)]
    raise UserError(
        f"{name} does not embed row {batch[0].position + 1} of the pool ({fault.reason}); the vectors so far "
        "are kept: leave the row out, or run the same command again"
    )


def decoded(value: Any) -> Vector | None:
    """A vector as a list of numbers or in base64; None where it is neither."""
    if isinstance(value, str):
        try:
            vector = np.frombuffer(base64.b64decode(value, validate=True), dtype="<f4").astype(np.float32)
        except ValueError:
            return None
    else:
        try:
            vector = np.asarray(value, dtype=np.float32)
        except (TypeError, ValueError):
            return None
    usable = vector.ndim == 1 and len(vector) > 0 and bool(np.isfinite(vector).all())
    return vector if usable else None
