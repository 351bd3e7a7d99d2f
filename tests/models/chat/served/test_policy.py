"""One policy for what a server answers: the table of docs/rating.md is what this test sees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.chat_server import GOOD, ChatServer, Reply, completion, error, running
from helpers.fake_backend import llm, pool_of

pytest.importorskip("openai")

from ds2.base.errors import UserError
from ds2.base.paths import project_root
from ds2.config import RaterRuntime, ScaleConfig
from ds2.models.chat.served import courier
from ds2.models.chat.served.policy import Fate, Fault
from ds2.rating import by_model
from ds2.rating.raters import Ratings

GEMINI = [{"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED", "details": [
    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.02s"},
]}}]  # fmt: skip
PAGE = b"<!DOCTYPE html><html><head><title>Log in</title></head><body>Please log in</body></html>"

REPLIES: dict[str, Reply] = {
    "400 `{error: {message}}` (OpenAI, vLLM)": error(400, "bad words"),
    "400 `{error: text}` (Ollama, TGI)": Reply({"error": "bad words"}, 400),
    "422 `{detail: text}` (FastAPI)": Reply({"detail": "bad words"}, 422),
    "422 `{detail: [{loc, msg}]}` (FastAPI)": Reply(
        {"detail": [{"loc": ["body", "x"], "msg": "bad words", "type": "value_error"}]}, 422
    ),
    "400 `[{error: {message}}]` (Gemini)": Reply([{"error": {"code": 400, "message": "bad words"}}], 400),
    "400 `{error: {metadata: {raw}}}` (OpenRouter)": Reply(
        {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": "bad words"}}}, 400
    ),
    "400 plain text": Reply(b"bad words", 400),
    "400 a page": Reply(b"<html><body><h1>bad words</h1></body></html>", 400),
    "413": error(413, "bad words"),
    "500 `exceeds the context size` (llama.cpp)": error(500, "bad words: it exceeds the context size"),
    "400 `maximum context length` (vLLM)": error(400, "bad words: maximum context length is 4096 tokens"),
    "200 `{error: {code: 400}}` (OpenRouter)": Reply({"error": {"code": 400, "message": "bad words"}}),
    "403": error(403, "bad words"),
    "404": error(404, "bad words"),
    "400 `content_filter`": error(400, "bad words", "content_filter"),
    "401": error(401, "bad words"),
    "402": error(402, "bad words"),
    "429 `insufficient_quota`": error(429, "bad words", "insufficient_quota"),
    "200 `{error: {code: 401}}`": Reply({"error": {"code": 401, "message": "bad words"}}),
    "200 a page (a login)": Reply(PAGE),
    "429": error(429, "bad words"),
    "429 `[{error: {details: [RetryInfo]}}]` (Gemini)": Reply(GEMINI, 429),
    "500": error(500, "bad words"),
    "503 a page": Reply(b"<html><body>bad words</body></html>", 503),
    "200 `choices: []`": Reply({"choices": []}),
    "200 `finish_reason: error`": Reply(
        {"choices": [{"finish_reason": "error", "error": {"message": "bad words"}, "message": {}}]}
    ),
    "200 `{error: {code: 502}}`": Reply({"error": {"code": 502, "message": "bad words"}}),
    "200 half a body": Reply(json.dumps(completion(GOOD)).encode()[:-30]),
    "200 nothing": Reply(b""),
    "a connection that breaks off": Reply(completion(GOOD), cut=30),
}  # fmt: skip
"""What a server sends -> the reply."""
ROWS = 24


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(courier, "LONGEST_WAIT", 0.002)
    monkeypatch.setattr(courier, "BUSY", 0.0)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")


def rate(folder: Path, server: ChatServer, texts: list[str], **options: Any) -> Ratings:
    runtime = RaterRuntime(**{"timeout": 20.0, **options.pop("runtime", {})})
    with running(server):
        config = llm(**{"base_url": server.url, "runtime": runtime, "max_unrated": 0.1, **options})
        return by_model.rate(
            config, pool_of(texts), ScaleConfig(), model={"served": "m"}, revision=None, folder=folder,
            progress=False,
        )  # fmt: skip


def about(body: dict[str, Any], *texts: str) -> bool:
    return any(f"{text}\n" in body["messages"][-1]["content"] for text in texts)


def of_one_row(folder: Path, reply: Reply) -> str:
    """What becomes of the one row that gets this reply, the others being answered."""
    server = ChatServer(lambda body, times: reply if about(body, "q5") else GOOD)
    rated, stop = attempt(folder, server, ROWS)
    if rated is None:
        assert_words(reply, stop)
        return "the run ends"
    assert rated.details is not None
    assert sum(rated.details.report.total[name] for name in ("parsed", "repaired")) == ROWS - 1
    (unrated,) = rated.details.unrated
    assert_words(reply, unrated.reason + unrated.text)
    times = max(server.asked.values())
    return f"{unrated.outcome.value}, asked {['once', 'twice'][times - 1] if times < 3 else f'{times} times'}"


def of_all_rows(folder: Path, reply: Reply) -> str:
    """What becomes of a run whose every question gets this reply."""
    server = ChatServer(lambda body, times: reply)
    _, stop = attempt(folder, server, 60)
    assert_words(reply, stop)
    if "in a row" in stop:
        assert len(server.bodies) < 500
        return "ends after 20 rows"
    if "gave a rating in 0" in stop:
        return "ends when each row was asked about"
    assert len(server.bodies) < 8
    return "ends at the first row"


def attempt(folder: Path, server: ChatServer, rows: int) -> tuple[Ratings | None, str]:
    """Ratings, or the one line with which the run ended."""
    try:
        return rate(folder, server, [f"q{i}" for i in range(rows)], runtime={"concurrency": 2}), ""
    except UserError as error:
        return None, str(error)


def assert_words(reply: Reply, said: str) -> None:
    """The server's own words are kept, where it had any."""
    if "bad words" in str(reply.body) and "content_filter" not in str(reply.body):
        assert "bad words" in said


def row(name: str, folder: Path) -> str:
    return (
        f"| {name} | {of_one_row(folder / 'a', REPLIES[name])} | {of_all_rows(folder / 'b', REPLIES[name])} |"
    )


def documented() -> dict[str, str]:
    lines = (project_root() / "docs" / "rating.md").read_text(encoding="utf-8").splitlines()
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines if line.startswith("| ")}


@pytest.mark.parametrize("name", REPLIES)
def test_the_documented_policy_is_what_happens(tmp_path: Path, name: str) -> None:
    assert row(name, tmp_path) == documented().get(name)


@pytest.mark.parametrize(("start", "concurrency"), [(0, 1), (300, 8), (575, 64)])
def test_refused_rows_that_stand_side_by_side_cost_no_other_row_its_rating(tmp_path, start, concurrency):
    odd = [f"q{i}" for i in range(start, start + 25)]
    server = ChatServer(lambda body, times: error(400, "flagged") if about(body, *odd) else GOOD)
    texts = [f"q{i}" for i in range(600)]
    options: dict[str, Any] = {"max_unrated": 0.05, "runtime": {"concurrency": concurrency}}
    rated = rate(tmp_path, server, texts, **options)
    assert rated.details is not None
    assert rated.details.report.total["parsed"] == 575
    assert {one.reason for one in rated.details.unrated} == {"status 400, flagged"}
    assert max(times for chat, times in server.asked.items() if "conversation" in chat) == 2
    again = ChatServer(server.say)
    rated = rate(tmp_path, again, [text for text in texts if text != "q400"], **options)  # a row less
    assert rated.details is not None
    assert rated.details.report.total["parsed"] == 574
    assert again.asked.total() <= 25 * 2 + 5


def test_rows_that_never_come_side_by_side_are_given_up_and_the_others_rated(tmp_path, monkeypatch):
    monkeypatch.setattr(courier, "DELIVERIES", 2)
    odd = [f"q{i}" for i in range(40, 65)]
    server = ChatServer(lambda body, times: error(500, "boom") if about(body, *odd) else GOOD)
    rated = rate(tmp_path, server, [f"q{i}" for i in range(600)], runtime={"concurrency": 4})
    assert rated.details is not None
    assert rated.details.report.total["parsed"] == 575
    assert rated.details.report.total["undelivered"] == 25


def test_a_finished_rating_needs_no_server(tmp_path):
    texts = [f"q{i}" for i in range(30)]
    rate(tmp_path, ChatServer(), texts)
    config = llm(base_url="http://127.0.0.1:9/v1")
    rated = by_model.rate(
        config, pool_of(texts[1:]), ScaleConfig(), model={"served": "m"}, revision=None, folder=tmp_path,
        progress=False,
    )  # fmt: skip
    assert rated.ratings.tolist() == [6] * 29


def test_an_answer_that_never_ends_is_lost_after_the_timeout(tmp_path):
    trickle = Reply(completion(GOOD), trickle=0.05)
    server = ChatServer(lambda body, times: GOOD if times else trickle)
    rated = rate(tmp_path, server, ["one", "two"], runtime={"timeout": 0.4})
    assert rated.ratings.tolist() == [6, 6]
    assert max(server.asked.values()) <= 3


def test_a_row_is_given_up_when_patience_is_spent(tmp_path, monkeypatch):
    monkeypatch.setattr(courier, "PATIENCE", 0.3)
    slow = Reply(completion(GOOD), delay=5.0)
    server = ChatServer(lambda body, times: slow if about(body, "one") else GOOD)
    rated = rate(tmp_path, server, ["one", *(f"q{i}" for i in range(20))], runtime={"timeout": 0.4})
    assert rated.details is not None
    assert max(server.asked.values()) <= 3
    (unrated,) = rated.details.unrated
    assert unrated.reason == "no whole answer within rater.runtime.timeout=0.4 s"


@pytest.mark.parametrize("said", [completion(None, refusal="No."), completion("", "content_filter")])
def test_a_refusal_is_asked_three_times_however_many_retries_there_are(tmp_path, said):
    server = ChatServer(lambda body, times: said if about(body, "one") else GOOD)
    texts = ["one", *(f"q{i}" for i in range(20))]
    for _ in range(2):
        rated = rate(tmp_path, server, texts, retries=10)
        assert rated.details is not None
        assert rated.details.outcomes[0] == "refused"
        assert max(server.asked.values()) == 3


@pytest.mark.parametrize("used_up", ["requests per day", "GenerateRequestsPerDay"])
def test_a_quota_of_a_day_that_is_used_up_ends_the_run_before_any_answer(used_up):
    fault = Fault(f"Quota exceeded: {used_up}", 429)
    assert fault.fate(heard=False) is Fate.run
    assert fault.fate(heard=True) is Fate.again
