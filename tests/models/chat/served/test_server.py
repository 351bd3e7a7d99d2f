"""The server back end against a server that fails in every way we know."""

from __future__ import annotations

import asyncio
import email.utils
import json
import os
import signal
import socket
import threading
import time
from concurrent import futures
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.chat_server import GOOD, ChatServer, Reply, completion, error, running
from helpers.fake_backend import llm, pool_of

pytest.importorskip("openai")

from ds2.base.errors import UserError
from ds2.base.paths import project_root
from ds2.base.processes import Terminated, terminable
from ds2.config import RaterRuntime, Reading, ScaleConfig
from ds2.models.chat import Answer, AnswerForm, ChatRequest, Place
from ds2.models.chat.answer_log import AnswerLog
from ds2.models.chat.served import courier, pace
from ds2.models.chat.served import server as openai_server
from ds2.models.chat.served.calls import ChatCalls
from ds2.models.chat.served.format import ChatFormat, Connection
from ds2.models.chat.served.loop import SteppedLoop
from ds2.rating import by_model
from ds2.rating.questions import RatingQuestions
from ds2.rating.raters import Ratings

KEY = "sk-test-0123456789abcdef"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(courier, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(courier, "LONGEST_WAIT", 0.05)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def rate(tmp_path, server: ChatServer, texts=("one", "two", "three"), **options) -> Ratings:
    runtime = RaterRuntime(**{"timeout": 0.5, **options.pop("runtime", {})})
    with running(server):
        config = llm(**{"base_url": server.url, "runtime": runtime, "max_unrated": 1.0, **options})
        return by_model.rate(
            config, pool_of(list(texts)), ScaleConfig(), model={"served": "m"}, revision=None,
            folder=tmp_path,
            progress=False,
        )  # fmt: skip


def asks(body, text: str) -> bool:
    """Whether a request is about the conversation with this text."""
    return f"{text}\n" in body["messages"][-1]["content"]


def first(fault):
    """The fault once for each conversation, then a good answer."""
    return lambda body, times: GOOD if times else fault


DELIVERY_FAULTS = {
    "429 with Retry-After": error(429, "slow", retry_after="0.1"),
    "429 with Retry-After in milliseconds": error(429, "slow", retry_after_ms="50"),
    "429 with Retry-After as a date": error(429, "slow", retry_after="Mon, 01 Jan 2024 00:00:00 GMT"),
    "429 without Retry-After": error(429, "slow"),
    "429 with a Retry-After that says nothing": error(429, "slow", retry_after="soon"),
    "500": error(500, "oops"),
    "503 with a page of HTML": Reply(b"<html>busy</html>", 503),
    "timeout": Reply(completion(GOOD), delay=2.0),
    "connection reset before the body": Reply(completion(GOOD), cut=0),
    "connection reset mid-body": Reply(completion(GOOD), cut=40),
    "truncated JSON body": Reply(json.dumps(completion(GOOD)).encode()[:-30]),
    "an empty body": Reply(b""),
    "a body that is no completion": Reply({"hello": 1}),
    "no choices": Reply({"choices": []}),
}
"""Each is sent again under the same key and comes through."""


@pytest.mark.parametrize("fault", DELIVERY_FAULTS.values(), ids=DELIVERY_FAULTS)
def test_what_can_pass_is_sent_again_and_comes_through(tmp_path, fault):
    server = ChatServer(first(fault))
    rated = rate(tmp_path, server)
    assert rated.ratings.tolist() == [6, 6, 6]
    assert set(server.asked.values()) == {2}
    assert rated.details is not None
    assert rated.details.report.answers == 3  # delivery is no try of the model


ANSWER_FAULTS = {
    "prose around JSON": (f"Sure! Here it is: {GOOD} Anything else?", "repaired", 6),
    "code fence": (f"```json\n{GOOD}\n```", "repaired", 6),
    "code fence with an object inside": (f'```json\n{GOOD[:-1]}, "why": {{"a": "b"}}}}\n```', "repaired", 6),
    "code fence with braces in a string": (
        f'```json\n{GOOD[:-1]}, "why": "uses {{x}}"}}\n```', "repaired", 6,
    ),
    "only the overall rating": ('{"overall_rating": 6}', "repaired", 6),
    "only an overall rating, quoted in prose": (
        'It asks me to say {"overall_rating": 10}, which I do not.', "unreadable", None,
    ),
    "unfinished thinking": (completion(f"<think>Perhaps {GOOD}, or", "length"), "truncated", None),
    "numbers as strings": (GOOD.replace("6", '"6"'), "repaired", 6),
    "7.5": (GOOD.replace("6", "7.5"), "parsed", 7.5),
    "8/10": (GOOD.replace("6", '"8/10"'), "repaired", 8),
    "NaN": (GOOD.replace("6", "NaN"), "unreadable", None),
    "out of range": (GOOD.replace("6", "11"), "unreadable", None),
    "missing overall rating": ('{"rarity": 3, "complexity": 4, "informativeness": 5}', "unreadable", None),
    "missing other criterion": ('{"rarity": 3, "overall_rating": 6}', "repaired", 6),
    "extra keys": (GOOD.replace("{", '{"why": "because", '), "parsed", 6),
    "duplicated keys that agree": (GOOD.replace("{", '{"overall_rating": 6, '), "repaired", 6),
    "duplicated keys that differ": (GOOD.replace("{", '{"overall_rating": 2, '), "unreadable", None),
    "truncated JSON": (completion(GOOD[:60], "length"), "truncated", None),
    "refusal as a field": (completion(None, refusal="I can't help with that."), "refused", None),
    "refusal in words": ("I'm sorry, but I can't rate this.", "refused", None),
    "content filter": (completion("", "content_filter"), "refused", None),
    "content filter as an error": (error(400, "filtered", "content_filter"), "refused", None),
    "empty answer": ("", "unreadable", None),
    "null answer": (completion(None), "unreadable", None),
    "content in parts": (completion([{"type": "text", "text": GOOD}]), "parsed", 6),
    "schema ignored": ("This one is great, 9 of 10!", "unreadable", None),
    "not UTF-8": (
        Reply(json.dumps(completion(f"Sch\u00f6n: {GOOD}"), ensure_ascii=False).encode("latin-1")),
        "repaired", 6,
    ),
    "half a character": (completion("\ud83d " + GOOD), "repaired", 6),
}  # fmt: skip
"""Fault -> what the server sends, outcome, rating."""


@pytest.mark.parametrize(("sent", "outcome", "value"), ANSWER_FAULTS.values(), ids=ANSWER_FAULTS)
def test_every_kind_of_answer_has_its_outcome(tmp_path, sent, outcome, value):
    server = ChatServer(lambda body, times: sent)
    rated = rate(tmp_path, server, ["one"], retries=1)
    assert rated.details is not None
    assert rated.details.outcomes == (outcome,)
    np.testing.assert_equal(rated.ratings.tolist(), [np.nan if value is None else value])
    assert server.asked.total() == (2 if value is None else 1)


@pytest.mark.parametrize(("sent", "outcome", "value"), ANSWER_FAULTS.values(), ids=ANSWER_FAULTS)
def test_an_unreadable_answer_is_asked_again_and_the_second_one_counts(tmp_path, sent, outcome, value):
    rated = rate(tmp_path, ChatServer(first(sent)))
    assert rated.ratings.tolist() == [6 if value is None else value] * 3


def test_a_model_name_that_does_not_exist_is_one_error_at_the_first_question(tmp_path):
    server = ChatServer(lambda body, times: error(404, "no such model"), models=("llama-8b", "llama-70b"))
    with pytest.raises(
        UserError, match=r"has no model llama-8 \(status 404, .*; it has: llama-8b, llama-70b$"
    ):
        rate(tmp_path, server, [f"q{i}" for i in range(500)], model="llama-8")
    assert len(server.bodies) == 2


def test_a_server_that_answers_with_another_model_than_was_asked_for_is_one_error(tmp_path):
    server = ChatServer(models=("m-2026-01-01", "other"))
    with pytest.raises(UserError, match="has no model x and answers with m-2026-01-01 instead; it has: "):
        rate(tmp_path, server, model="x")
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("model", "listed", "said"),
    [
        ("openai/gpt-x", ("openai/*",), 0),
        ("org/name:nitro", ("org/name", "org/other"), 0),
        ("tuned", ("base",), 1),
    ],
)
def test_a_list_that_lacks_the_model_is_advice(tmp_path, capsys, model, listed, said):
    rated = rate(tmp_path, ChatServer(models=listed), model=model)
    assert rated.ratings.tolist() == [6, 6, 6]
    assert capsys.readouterr().out.count(f"does not list {model} but answers for it; it has: base") == said


def test_a_server_without_a_list_of_models_says_it_once(tmp_path):
    server = ChatServer(lambda body, times: error(404, "The model m does not exist"), models=error(404))
    with pytest.raises(UserError, match=r"has no model m \(status 404, The model m does not exist\)"):
        rate(tmp_path, server, [f"q{i}" for i in range(500)])
    assert len(server.bodies) <= 2 * 64


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("where", ["both", "chat"])
def test_a_refused_key_is_one_error_that_names_the_variable(tmp_path, status, where):
    refused = error(status, f"Incorrect API key provided: {KEY}")
    server = ChatServer(lambda body, times: refused, models=refused if where == "both" else ("m",))
    with pytest.raises(UserError, match="refuses the key in OPENAI_API_KEY") as caught:
        rate(tmp_path, server)
    assert KEY not in str(caught.value)


def test_answers_on_their_way_when_a_key_is_refused_are_kept(tmp_path):
    def say(body, times):
        if asks(body, "q1"):
            return replace(error(401), delay=0.2)  # the others are sent by then
        return Reply(completion(GOOD), delay=0 if asks(body, "q0") else 0.4)

    server, texts = ChatServer(say), [f"q{i}" for i in range(6)]
    with pytest.raises(UserError, match="refuses the key"):
        rate(tmp_path, server, texts, runtime={"concurrency": 6})
    again = ChatServer()
    rate(tmp_path, again, texts)
    assert [text for text in texts if any(text in chat for chat in again.asked)] == ["q1"]


def answering_at_once(monkeypatch, text: str, finish: str) -> list[str]:
    """Every question is answered as soon as it is sent; their keys."""
    sent: list[str] = []

    async def send(self, question):
        sent.append(question.key)
        return Answer(question.key, text, finish)

    monkeypatch.setattr(ChatCalls, "send", send)
    return sent


def kept(folder: Path, keys: list[str]) -> int:
    """How many of the answers are in the log."""
    with AnswerLog(folder) as log:
        return sum(log.get(key) is not None for key in keys)


def test_every_answer_that_came_is_kept_when_one_of_them_ends_the_stage(tmp_path, monkeypatch):
    sent = answering_at_once(monkeypatch, '{"rarity": 3', "length")
    with pytest.raises(UserError, match="first 8 answers was cut off.* All answers are kept"):
        rate(tmp_path, ChatServer(), [f"q{i}" for i in range(100)])
    assert len(sent) > 8
    assert kept(tmp_path, sent) == len(sent)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_every_answer_that_came_is_kept_when_the_stage_is_asked_to_end(tmp_path, monkeypatch, number):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    sent, read, taken = answering_at_once(monkeypatch, GOOD, "stop"), RatingQuestions.read, []

    def struck(self, answer):
        taken.append(answer)
        if len(taken) == 3:
            os.kill(os.getpid(), number)
        return read(self, answer)

    monkeypatch.setattr(RatingQuestions, "read", struck)
    with pytest.raises((KeyboardInterrupt, Terminated)), terminable():
        rate(tmp_path, ChatServer(), [f"q{i}" for i in range(100)])
    assert len(sent) > 3
    assert kept(tmp_path, sent) == len(sent)


def test_no_credit_left_ends_the_stage(tmp_path):
    server = ChatServer(lambda body, times: error(429, "You exceeded your quota", "insufficient_quota"))
    with pytest.raises(UserError, match="has no credit left"):
        rate(tmp_path, server)


def test_no_server_is_one_error(tmp_path):
    config = llm(base_url="http://127.0.0.1:9/v1")
    with pytest.raises(UserError, match=r"no server answers at http://127.0.0.1:9/v1: start it"):
        by_model.rate(
            config, pool_of(["one"]), ScaleConfig(), model={}, revision=None, folder=tmp_path, progress=False
        )


def test_a_server_that_refuses_everything_is_left_alone_soon(tmp_path):
    server = ChatServer(lambda body, times: error(400, "unsupported parameter: temperature"))
    with pytest.raises(UserError, match="refuses every question: status 400, unsupported parameter"):
        rate(tmp_path, server, [f"q{i}" for i in range(3000)])
    assert len(server.bodies) < 10


def test_a_server_that_goes_down_ends_the_stage_and_keeps_the_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(courier, "DELIVERIES", 2)
    texts = [f"q{i}" for i in range(200)]
    server = ChatServer(lambda body, times: GOOD if len(server.bodies) <= 100 else error(500, "down"))
    with pytest.raises(UserError, match="The answers so far are kept"):
        rate(tmp_path, server, texts, runtime={"concurrency": 8, "timeout": 20.0})
    again = ChatServer()
    rated = rate(tmp_path, again, texts, runtime={"timeout": 20.0})
    assert rated.ratings.tolist() == [6] * 200
    assert again.asked.total() == 100


@pytest.mark.parametrize(
    ("message", "least", "most"), [("unknown field: response_format", 1, 4), ("bad request", 2, 8)]
)
def test_a_server_that_refuses_the_schema_is_asked_without_it_from_then_on(
    tmp_path, capsys, message, least, most
):
    def say(body, times):
        return error(400, message) if "response_format" in body else GOOD

    server = ChatServer(say)
    rated = rate(tmp_path, server, [f"q{i}" for i in range(40)], runtime={"concurrency": 4})
    assert rated.ratings.tolist() == [6] * 40
    assert least <= sum("response_format" in body for body in server.bodies) <= most
    assert capsys.readouterr().out.count("from now on: without response_format") == 1
    assert rated.details is not None
    assert rated.details.report.changes == {"without response_format": 40}


def test_a_refusal_that_does_not_name_the_schema_leaves_it_on(tmp_path, capsys):
    server = ChatServer(lambda body, times: error(400, "hiccup") if asks(body, "q20") and not times else GOOD)
    rated = rate(tmp_path, server, [f"q{i}" for i in range(200)], runtime={"concurrency": 2})
    assert sum("response_format" not in body for body in server.bodies) == 1
    assert rated.details is not None
    assert rated.details.report.changes == {"without response_format": 1}
    assert not capsys.readouterr().out


def test_the_schema_is_asked_for_and_only_what_was_set_is_sent(tmp_path):
    server = ChatServer()
    rate(tmp_path, server, ["one"])
    (body,) = server.bodies
    assert set(body) == {"model", "messages", "max_tokens", "response_format"}
    schema = body["response_format"]["json_schema"]["schema"]
    assert set(schema["required"]) == {"rarity", "complexity", "informativeness", "overall_rating"}
    server = ChatServer()
    rate(tmp_path / "b", server, ["one"], temperature=1.2, top_p=0.9, top_k=50)
    (body,) = server.bodies
    assert {name: body[name] for name in ("temperature", "top_p", "top_k")} == {
        "temperature": 1.2, "top_p": 0.9, "top_k": 50,
    }  # fmt: skip


def test_the_key_is_sent_and_a_server_without_one_works(tmp_path, monkeypatch):
    server = ChatServer()
    rate(tmp_path, server, ["one"])
    assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    monkeypatch.delenv("OPENAI_API_KEY")
    assert rate(tmp_path / "b", ChatServer(), ["one"]).ratings.tolist() == [6]


def test_a_key_ends_before_its_line_feed_and_one_that_none_can_be_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    server = ChatServer()
    rate(tmp_path, server, ["one"])
    assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    for key in ("schlüssel", "a\nb"):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        with pytest.raises(UserError, match="OPENAI_API_KEY holds characters that no key has") as refusal:
            rate(tmp_path / "c", ChatServer(), ["one"])
        assert key not in str(refusal.value)


def test_without_key_and_address_it_says_what_to_set(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(UserError, match="set OPENAI_API_KEY in the environment, or give rater.base_url"):
        rate(tmp_path, ChatServer(), base_url=None)
    with pytest.raises(UserError, match="must hold no user name, password or query"):
        rate(tmp_path, ChatServer(), base_url="http://me:secret@127.0.0.1/v1")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "http://[bad",
        "http://127.0.0.1:no/v1",
        "http://127.0.0.1:99999/v1",
        "127.0.0.1:8000/v1",
        "ftp://x",
    ],
)
def test_an_address_that_cannot_be_one_is_one_line(tmp_path, address):
    with pytest.raises(
        UserError, match="rater.base_url.* is no address of a server: give http://host:port/v1"
    ):
        rate(tmp_path, ChatServer(), base_url=address)


def test_a_secret_in_the_environment_s_address_is_refused_and_not_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://me:hush@127.0.0.1/v1")
    with pytest.raises(UserError, match="OPENAI_BASE_URL must hold no user name, password") as caught:
        rate(tmp_path, ChatServer(), base_url=None)
    assert "hush" not in str(caught.value)


def test_what_is_no_http_server_is_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            connection, _ = listening.accept()
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            connection.close()

        threading.Thread(target=greet, daemon=True).start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        with (
            pytest.raises(UserError, match="check rater.base_url"),
            openai_server.open(llm(base_url=address), AnswerForm(), None, Place(tmp_path)) as backend,
        ):
            backend.check()


def test_an_address_without_v1_is_advised_of(tmp_path):
    nothing = error(404, "Not Found")
    with running(ChatServer(lambda body, times: nothing, models=nothing)) as server:
        config = llm(base_url=server.url.removesuffix("/v1") + "/")
        with pytest.raises(UserError, match="nothing answers there nor below /v1: check rater.base_url$"):
            by_model.rate(
                config,
                pool_of(["one"]),
                ScaleConfig(),
                model={},
                revision=None,
                folder=tmp_path,
                progress=False,
            )


def test_a_server_that_wants_a_key_where_none_is_set_says_so(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(UserError, match=r"refuses the key in OPENAI_API_KEY .*: none is set"):
        rate(tmp_path, ChatServer(lambda body, times: error(401, "who are you")))


@pytest.mark.parametrize("option", ["poll_seconds", "batch_requests", "batch_megabytes"])
@pytest.mark.parametrize("value", [0, -1])
def test_settings_of_batches_that_cannot_work_are_refused(tmp_path, option, value):
    with pytest.raises(UserError, match=f"rater.runtime.{option}={value} must be positive"):
        rate(tmp_path, ChatServer(), runtime={option: value})


def test_an_azure_deployment_is_asked_at_its_own_path_with_its_own_key(tmp_path, monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key")
    server = ChatServer(models=error(404))
    with running(server):
        config = llm(base_url=server.url.removesuffix("/v1"), api_version="2024-10-21", model="my deployment")
        rated = by_model.rate(
            config, pool_of(["one"]), ScaleConfig(), model={}, revision=None, folder=tmp_path, progress=False
        )
    assert rated.ratings.tolist() == [6]
    assert server.headers[-1]["api-key"] == "azure-key"
    assert "max_completion_tokens" in server.bodies[0]


def test_openai_itself_is_asked_in_its_newer_words(tmp_path, monkeypatch):
    with running(ChatServer()) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        by_model.rate(
            llm(), pool_of(["one"]), ScaleConfig(), model={}, revision=None, folder=tmp_path, progress=False
        )
    assert "max_completion_tokens" in server.bodies[0]


def test_so_many_requests_are_in_flight_and_no_more(tmp_path):
    server = ChatServer(lambda body, times: Reply(completion(GOOD), delay=0.05))
    rate(tmp_path, server, [f"q{i}" for i in range(40)], runtime={"concurrency": 7})
    assert server.most_in_flight == 7


def test_a_caller_that_runs_inside_a_loop_of_its_own_is_served(tmp_path):
    """A cell of a notebook."""

    async def cell() -> Ratings:
        return rate(tmp_path, ChatServer(lambda body, times: GOOD))

    assert asyncio.run(cell()).scores.tolist() == [2, 2, 2]


def test_the_caller_s_own_work_takes_nothing_from_the_timeout():
    loop, came = SteppedLoop(), []

    async def answer() -> None:
        async with loop.within(0.2):
            await asyncio.sleep(0.1)
            came.append("answer")

    task = loop.task(answer())
    loop.run(asyncio.sleep(0.01))
    time.sleep(0.5)
    loop.run(asyncio.wait_for(task, 5))
    assert came == ["answer"]
    loop.close()


def test_an_interrupted_wait_ends_and_the_loop_can_be_stepped_again(monkeypatch):
    loop, ended = SteppedLoop(), []

    async def long() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("long")

    def interrupted(self: futures.Future[None], timeout: float | None = None) -> None:
        time.sleep(0.05)  # the step has begun
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(futures.Future, "result", interrupted)
        with pytest.raises(KeyboardInterrupt):
            loop.run(long())
    assert ended == ["long"]
    assert loop.run(asyncio.sleep(0, "again")) == "again"
    loop.close()


def test_requests_and_tokens_a_minute_are_kept(tmp_path):
    started = time.monotonic()
    rate(tmp_path, ChatServer(), [f"q{i}" for i in range(11)], runtime={"requests_per_minute": 1200.0})
    assert 0.5 <= time.monotonic() - started < 2
    started = time.monotonic()
    rate(tmp_path / "b", ChatServer(), [f"q{i}" for i in range(11)], runtime={"tokens_per_minute": 600_000.0})
    assert time.monotonic() - started >= 0.3  # 11 estimates of more than 400 tokens, 10,000 a second


def test_all_wait_when_the_server_asks_for_it(tmp_path):
    times: list[float] = []

    def say(body, asked):
        times.append(time.monotonic())
        return error(429, "slow", retry_after="0.5") if len(times) == 1 else GOOD

    rate(tmp_path, ChatServer(say), [f"q{i}" for i in range(12)], runtime={"concurrency": 2})
    assert sum(moment - times[0] < 0.45 for moment in times) <= 3


class FakeClock:
    """Time that passes only while something waits; for one request at a time."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock(monkeypatch):
    fake = FakeClock()
    monkeypatch.setattr(pace, "now", fake.now)
    monkeypatch.setattr(pace, "sleep", fake.sleep)
    monkeypatch.setattr(courier, "FIRST_WAIT", 0.5)
    monkeypatch.setattr(courier, "LONGEST_WAIT", 60.0)
    return fake


def in_seconds(seconds: float) -> str:
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        (lambda: {"retry_after": "20"}, 20, 22),
        (lambda: {"retry_after_ms": "20000"}, 20, 22),
        (lambda: {"retry_after_ms": "20000", "retry_after": "7"}, 20, 22),
        (lambda: {"retry_after": in_seconds(300)}, 290, 330),
        (lambda: {"retry_after": in_seconds(-300)}, 0.25, 0.5),
        (lambda: {"retry_after_ms": "10"}, 0.25, 0.5),
        (lambda: {"retry_after": "-5"}, 0.25, 0.5),
        (lambda: {"retry_after": "nan"}, 0.25, 0.5),
        (lambda: {"retry_after": "soon"}, 0.25, 0.5),
        (dict, 0.25, 0.5),
    ],
)
def test_the_next_try_is_as_late_as_the_server_says_or_later(tmp_path, clock, status, headers, least, most):
    fault = error(status, "slow", **headers())
    assert rate(tmp_path, ChatServer(first(fault)), ["one"]).ratings.tolist() == [6]
    assert least <= clock.time - 1000 <= most


def test_a_busy_server_is_waited_for_by_the_clock_however_small_a_wait_it_asks_for(tmp_path, clock):
    busy = error(429, "slow", retry_after_ms="10")
    server = ChatServer(lambda body, times: GOOD if clock.time > 1000 + 1800 else busy)
    assert rate(tmp_path, server, ["one"], retries=0).ratings.tolist() == [6]
    assert server.asked.total() < 60


def test_a_server_that_stays_busy_is_given_up_after_an_hour(tmp_path, clock):
    server = ChatServer(lambda body, times: error(429, "slow"))
    rated = rate(tmp_path, server, ["one"], retries=0)
    assert rated.details is not None
    assert rated.details.outcomes == ("undelivered",)
    assert 3600 <= clock.time - 1000 <= 3660


def test_a_server_that_asks_for_long_waits_is_asked_ten_times(tmp_path, clock):
    server = ChatServer(lambda body, times: error(429, "tomorrow", retry_after="86400"))
    rate(tmp_path, server, ["one"], retries=0)
    assert server.asked.total() == courier.DELIVERIES


def test_a_busy_server_takes_no_tries_from_other_faults(tmp_path, clock):
    def say(body, times):
        return error(429, "slow") if times < 12 else error(500, "oops") if times < 21 else GOOD

    assert rate(tmp_path, ChatServer(say), ["one"], retries=0).ratings.tolist() == [6]


def test_tokens_that_were_not_used_are_given_back(tmp_path, clock):
    """At one token a second: the second question waits for the 120 that the first used, not for its
    estimate."""
    pace = {"concurrency": 1, "tokens_per_minute": 60.0}
    rate(tmp_path / "a", ChatServer(), ["one", "two"], runtime=pace)
    assert 119 <= clock.time - 1000 <= 121
    clock.time = 1000.0
    rate(tmp_path / "b", ChatServer(first(error(500, "oops"))), ["one"], runtime=pace)
    assert clock.time - 1000 <= 0.5


def turns(limit: float, halts: list[tuple[float, float]], count: int = 20) -> list[float]:
    """When each of so many requests may be sent, with the server asking for a halt at some moments (second,
    length)."""
    place = Place(Path())
    backend = openai_server.ServerBackend(
        ChatFormat(Connection("http://127.0.0.1:9"), "m", 1), RaterRuntime(requests_per_minute=limit), place
    )
    started, sent = time.monotonic(), []

    async def one() -> None:
        await backend.courier.turn(0)
        sent.append(time.monotonic() - started)

    async def halt(at: float, length: float) -> None:
        if at:
            await asyncio.sleep(at)
        backend.courier.halt.extend(length)

    async def everything() -> None:
        await asyncio.gather(*(halt(*each) for each in halts), *(one() for _ in range(count)))

    backend.loop.run(everything())
    backend.close()
    return sent


def test_the_pace_is_kept_when_a_halt_ends():
    sent = turns(6000.0, [(0.0, 0.3)])
    assert all(moment >= 0.3 + 0.01 * i - 0.005 for i, moment in enumerate(sent))


def test_nobody_sends_in_a_halt_that_began_while_they_waited_for_their_turn():
    sent = turns(6000.0, [(0.055, 0.3)])
    early = sum(moment < 0.08 for moment in sent)
    assert 0 < early < 10
    assert all(moment >= 0.35 + 0.01 * i - 0.005 for i, moment in enumerate(sent[early:]))


def test_why_nothing_comes_is_said_once_and_shown_until_something_does(tmp_path):
    said, shown = [], []
    down = error(500, "oops")
    server = ChatServer(lambda body, times: GOOD if times > 4 else down)
    with running(server):
        config = llm(base_url=server.url)
        with openai_server.open(
            config, AnswerForm(), None, Place(tmp_path, said.append, shown.append)
        ) as backend:
            requests = [ChatRequest(f"k{i}", ({"role": "user", "content": f"q{i}"},)) for i in range(8)]
            assert {answer.finish for answer in backend.answers(requests)} == {"stop"}
    assert said == [f"{server.url} gives no answers (status 500, oops); it is asked again"]
    assert shown[0] == "status 500, oops"
    assert shown[-1] == ""


def test_the_key_is_removed_before_an_odd_body_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(courier, "DELIVERIES", 1)
    for before in range(60, 110, 3):
        body = b"x" * before + b" Bearer " + KEY.encode() + b" rest"
        rated = rate(
            tmp_path / str(before), ChatServer(lambda b, t, body=body: Reply(body)), ["one"], retries=0
        )
        assert rated.details is not None
        assert "sk-test" not in str(rated.details.unrated)


def test_a_question_that_is_refused_is_not_asked_again_and_the_others_are_rated(tmp_path):
    server = ChatServer(lambda body, times: error(400, "context too long") if asks(body, "q5") else GOOD)
    rated = rate(tmp_path, server, [f"q{i}" for i in range(30)], retries=10)
    assert rated.details is not None
    assert [(one.position, one.reason) for one in rated.details.unrated] == [
        (5, "status 400, context too long")
    ]
    assert max(server.asked.values()) == 2  # with the schema and without


@pytest.mark.parametrize("others", [0, 30])
def test_one_conversation_that_is_forbidden_is_no_refused_key(tmp_path, others):
    server = ChatServer(lambda body, times: error(403, "flagged") if asks(body, "odd one") else GOOD)
    rated = rate(tmp_path, server, ["odd one", *(f"q{i}" for i in range(others))])
    assert rated.details is not None
    assert rated.details.outcomes == ("undelivered", *["parsed"] * others)
    assert min(server.asked.values()) == max(server.asked.values()) == 1


@pytest.mark.parametrize("retries", [0, 10])
def test_probabilities_that_are_no_rating_are_not_asked_for_again(tmp_path, retries):
    server = ChatServer(lambda body, times: top(The=1.0) if asks(body, "odd one") else top(t7=1.0))
    for _ in range(2):
        rated = rate(tmp_path, server, ["odd one", "two"], reading=Reading.expected, retries=retries)
        assert rated.details is not None
        assert rated.details.outcomes == ("unreadable", "parsed")
        assert set(server.asked.values()) == {1}


def test_a_long_wait_is_said_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(courier, "LONGEST_WAIT", 0.1)
    busy = error(429, "slow", retry_after="0.3")
    rate(tmp_path, (server := ChatServer(lambda body, times: busy if len(server.bodies) == 1 else GOOD)))
    assert capsys.readouterr().out.count("asks to wait 0 seconds") == 1


def top(**shares: float) -> dict:
    tokens = [{"token": token.removeprefix("t"), "logprob": float(np.log(p))} for token, p in shares.items()]
    whole = completion("7")
    whole["choices"][0]["logprobs"] = {"content": [{"token": "7", "top_logprobs": tokens}]}
    return whole


def test_the_expected_rating_is_read_from_the_first_token_s_probabilities(tmp_path):
    server = ChatServer(lambda body, times: top(t7=0.4, t8=0.4, The=0.2))
    rated = rate(tmp_path, server, ["one"], reading=Reading.expected, temperature=1.2)
    assert rated.ratings.tolist() == pytest.approx([7.5])
    (body,) = server.bodies
    assert (body["logprobs"], body["top_logprobs"], body["max_tokens"]) == (True, 20, 1)
    assert "temperature" not in body
    assert "response_format" not in body


def test_a_first_token_that_is_hardly_a_digit_is_no_rating(tmp_path):
    server = ChatServer(lambda body, times: top(t7=0.1, The=0.9))
    rated = rate(tmp_path, server, ["one"], reading=Reading.expected, retries=0)
    assert rated.details is not None
    assert rated.details.outcomes == ("unreadable",)


def test_a_server_without_probabilities_is_one_error_and_leaves_nothing_to_be_replayed(tmp_path):
    texts = [f"q{i}" for i in range(100)]
    with pytest.raises(UserError, match=r"needs token probabilities \(logprobs\)"):
        rate(tmp_path, ChatServer(), texts, reading=Reading.expected)
    rated = rate(tmp_path, ChatServer(lambda body, times: top(t7=1.0)), texts, reading=Reading.expected)
    assert rated.ratings.tolist() == [7] * 100


WITHOUT_PROBABILITIES = {
    "filtered": (completion(None, "content_filter"), "refused"),
    "empty": (completion(""), "unreadable"),
    "written": (completion("Sure"), "unreadable"),
}


@pytest.mark.parametrize(("sent", "outcome"), WITHOUT_PROBABILITIES.values(), ids=WITHOUT_PROBABILITIES)
@pytest.mark.parametrize("others", [0, 30])
def test_an_answer_without_probabilities_leaves_its_sample_unrated_and_no_other(
    tmp_path, sent, outcome, others
):
    texts = ["odd one", *(f"q{i}" for i in range(others))]
    server = ChatServer(lambda body, times: sent if asks(body, "odd one") else top(t7=1.0))
    rated = rate(tmp_path, server, texts, reading=Reading.expected)
    assert rated.details is not None
    assert rated.details.outcomes == (outcome, *["parsed"] * others)


@pytest.mark.parametrize("likely", [[None], [{}], [{"token": "7"}], [{"token": "7", "logprob": None}]])
def test_probabilities_of_another_form_are_no_rating(tmp_path, likely):
    whole = completion("7")
    whole["choices"][0]["logprobs"] = {"content": [{"top_logprobs": likely}]}
    rated = rate(tmp_path, ChatServer(lambda body, times: whole), ["one"], reading=Reading.expected)
    assert rated.details is not None
    assert rated.details.outcomes == ("unreadable",)


def test_the_documented_faults_are_the_tested_ones():
    text = (project_root() / "docs" / "rating.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    passing = " ".join(text[text.index("plays the faults that come once (") :].partition("): ")[0].split())
    assert passing.partition("(")[2].split(", ") == list(DELIVERY_FAULTS)
    documented = [row for row in rows if row[0] in ANSWER_FAULTS]
    assert documented == [
        [name, outcome, "" if value is None else f"{value:g}"]
        for name, (_, outcome, value) in ANSWER_FAULTS.items()
    ]
