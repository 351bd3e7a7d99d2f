"""A back end over actors, which work in this process here."""

from __future__ import annotations

import pytest
from helpers.chat_server import ChatServer, Reply, error, running
from helpers.fake_backend import llm

from ds2.base.engine import LocalEngine
from ds2.config import RaterRuntime
from ds2.models.chat import AnswerForm, ChatRequest, Place
from ds2.models.chat.spread import open_spread

pytest.importorskip("openai")


class TwoActors(LocalEngine):
    """Two by name: shards one after the other."""

    actors = 2


def test_deliveries_that_failed_at_any_actor_are_counted_and_shown_where_the_person_is(tmp_path) -> None:
    def say(body, times):
        asked = int(body["messages"][-1]["content"])
        if asked in (3, 8, 9) and times == 0:
            return error(503, "busy") if asked < 9 else Reply(status=502)
        return "yes"

    shown: list[str] = []
    with running(ChatServer(say)) as server:
        config = llm(base_url=server.url, runtime=RaterRuntime(concurrency=2))  # one an actor, four a shard
        place = Place(tmp_path, show=shown.append)
        requests = [ChatRequest(str(i), ({"role": "user", "content": str(i)},)) for i in range(12)]
        with open_spread(config, AnswerForm(), None, place, TwoActors()) as backend:
            assert len(list(backend.answers(requests))) == 12
    said = ["failed deliveries: 1, the last: status 503", "failed deliveries: 3, the last: status 502"]
    assert [line[: len(said[0])] for line in shown] == said
