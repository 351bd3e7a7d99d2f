"""Embeddings from a server: delivered like answers, kept like answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.chat_server import ChatServer, Reply, error, running

pytest.importorskip("openai")

from ds2.base.errors import UserError
from ds2.config import ServerEmbedderConfig
from ds2.config.compose import compose
from ds2.config.curation import ServerEmbedderRuntime
from ds2.models import server_encoder
from ds2.models.chat.served import courier
from ds2.models.chat.served.embedding_calls import EmbeddingCalls
from ds2.models.chat.served.policy import Fault
from ds2.models.server_encoder import encode
from ds2.runs.chain import Chain

WIDTH = 4
TEXTS = [f"text {i}" for i in range(10)]


def vector(text: str) -> list[float]:
    return [float(len(text)), float(sum(text.encode()) % 97), 1.0, float(text.encode()[-1])]


class EmbeddingServer(ChatServer):
    """`refuse(text)`: a reply instead, where a request holds such a text."""

    def __init__(
        self, refuse: Callable[[str], Reply | None] = lambda text: None, packed: bool = False
    ) -> None:
        super().__init__()
        self.refuse, self.packed = refuse, packed
        self.texts: list[str] = []

    def reply(self, path: str, body: bytes) -> tuple[Reply, str]:
        if path.endswith("/models"):
            return super().reply(path, body)
        assert path == "/v1/embeddings"
        asked = json.loads(body)
        self.bodies.append(asked)
        self.texts += asked["input"]
        for text in asked["input"]:
            if (refused := self.refuse(text)) is not None:
                return refused, ""
        entries = [
            {"index": i, "embedding": self.shown(vector(text))} for i, text in enumerate(asked["input"])
        ]
        return Reply({"data": entries[::-1], "model": "m"}), ""

    def shown(self, row: list[float]) -> Any:
        return base64.b64encode(np.array(row, dtype="<f4").tobytes()).decode() if self.packed else row


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(courier, "LONGEST_WAIT", 0.002)


def embed(folder: Path, server: EmbeddingServer, texts: list[str] = TEXTS, **options: Any) -> np.ndarray:
    with running(server):
        runtime = ServerEmbedderRuntime(batch_size=4, timeout=20.0)
        config = ServerEmbedderConfig(
            **{"name": "e", "model": "m", "base_url": server.url, "runtime": runtime, **options}
        )
        return np.concatenate(list(encode(config, texts, folder=folder, progress=False)))


@pytest.mark.parametrize("packed", [False, True])
def test_each_text_gets_its_own_vector_whatever_the_order_of_the_reply(tmp_path, packed):
    server = EmbeddingServer(packed=packed)
    assert embed(tmp_path, server).tolist() == [vector(text) for text in TEXTS]
    assert len(server.bodies) == 3


def test_what_the_log_holds_is_not_asked_again_and_needs_no_server(tmp_path):
    first = embed(tmp_path, EmbeddingServer(), TEXTS[:7])
    server = EmbeddingServer()
    second = embed(tmp_path, server, [*TEXTS, "text 3"])
    assert sorted(server.texts) == TEXTS[7:]
    assert second[:7].tolist() == first.tolist()
    assert second[10].tolist() == second[3].tolist()
    again = embed(tmp_path, EmbeddingServer(), base_url="http://127.0.0.1:9/v1")
    assert again.tolist() == second[:10].tolist()
    assert len(embed(tmp_path, (other := EmbeddingServer()), model="other")) == len(other.texts) == 10


def test_rows_come_in_blocks_and_equal_texts_are_asked_for_once(tmp_path, monkeypatch):
    monkeypatch.setattr(server_encoder, "PART", 3)
    server = EmbeddingServer()
    texts = [*TEXTS, *TEXTS]
    with running(server):
        runtime = ServerEmbedderRuntime(batch_size=4, timeout=20.0)
        config = ServerEmbedderConfig(name="e", model="m", base_url=server.url, runtime=runtime)
        blocks = list(encode(config, texts, folder=tmp_path, progress=False))
    assert [len(block) for block in blocks] == [3, 3, 3, 3, 3, 3, 2]
    assert np.concatenate(blocks).tolist() == [vector(text) for text in texts]
    assert sorted(server.texts) == TEXTS


def test_a_busy_server_is_asked_again(tmp_path):
    server = EmbeddingServer(lambda text: error(503, "busy") if len(server.bodies) % 2 else None)
    assert embed(tmp_path, server).tolist() == [vector(text) for text in TEXTS]


def test_a_text_that_is_too_long_is_halved_and_costs_no_other_its_vector(tmp_path, capsys):
    texts = [*TEXTS, "long " * 100]
    too_long = error(400, "This model's maximum context length is 40 tokens")
    server = EmbeddingServer(lambda text: too_long if len(text) > 200 else None)
    rows = embed(tmp_path, server, texts)
    assert rows[:10].tolist() == [vector(text) for text in TEXTS]
    assert rows[10].tolist() == vector(texts[10][:125])
    assert "texts were cut in half 2 times" in capsys.readouterr().out


def test_a_cut_is_made_before_a_text_is_sent(tmp_path):
    server = EmbeddingServer()
    embed(tmp_path, server, ["word " * 500], max_tokens=20)
    assert 40 < len(server.texts[0]) <= 70


def test_a_text_that_is_refused_for_what_it_says_is_named_by_its_row(tmp_path):
    server = EmbeddingServer(lambda text: error(400, "flagged") if text == "text 6" else None)
    with pytest.raises(UserError, match=r"does not embed row 7 of the pool \(status 400, flagged\)"):
        embed(tmp_path, server)


def test_vectors_that_came_with_a_refusal_are_kept(tmp_path, monkeypatch):
    sent: list[str] = []

    async def send(self, batch):
        sent.append(batch[0].text)
        return Fault("flagged", 400) if len(sent) == 2 else [np.ones(WIDTH)]

    monkeypatch.setattr(EmbeddingCalls, "send", send)
    one_each = ServerEmbedderRuntime(batch_size=1)
    with pytest.raises(UserError, match="does not embed row"):
        embed(tmp_path, EmbeddingServer(), runtime=one_each)
    first = list(sent)
    embed(tmp_path, EmbeddingServer(), runtime=one_each)
    assert len(first) > 3
    assert set(first) & set(sent[len(first) :]) == {first[1]}


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (error(401, "who?"), "refuses the key in OPENAI_API_KEY"),
        (error(404, "no such model"), "has no model m"),
        (error(400, "no embeddings here"), "refuses every question: status 400, no embeddings here"),
        (Reply(b"<html>log in</html>"), "check embedder.base_url"),
    ],
)
def test_a_server_that_embeds_nothing_is_one_line_at_the_first_batch(tmp_path, reply, message):
    server = EmbeddingServer(lambda text: reply)
    with pytest.raises(UserError, match=message):
        embed(tmp_path, server, [f"text {i}" for i in range(200)])
    assert len(server.bodies) <= 2


def test_vectors_that_cannot_be_used_are_none(tmp_path, monkeypatch):
    monkeypatch.setattr(courier, "DELIVERIES", 2)
    for odd in ([], ["a"], None, [float("nan")]):
        reply = Reply({"data": [{"index": 0, "embedding": odd}]})
        with pytest.raises(UserError, match="0 usable vectors for 1 texts"):
            embed(tmp_path, EmbeddingServer(lambda text, reply=reply: reply), ["one"])


def test_where_a_model_is_served_is_no_identity_and_its_name_and_width_are(tmp_path):
    def fingerprint(*more: str) -> str:
        base = ["embedder=server", "embedder.model=m", "until=embed", "pool.samples=20", "tracking=none"]
        return Chain(compose([*base, *more])).fingerprint

    one = fingerprint()
    assert one == fingerprint("embedder.base_url=http://127.0.0.1:1/v1", "embedder.runtime.concurrency=2")
    assert len({one, fingerprint("embedder.model=other"), fingerprint("embedder.dimensions=64")}) == 3
