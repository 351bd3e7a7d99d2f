"""What servers do not take is learnt at the first question, said once, and recorded as what was used."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from helpers.chat_server import GOOD, ChatServer, Reply, completion, error, running
from helpers.fake_backend import llm, pool_of

pytest.importorskip("openai")

from ds2.base.errors import UserError
from ds2.config import RaterRuntime, Reading, ScaleConfig
from ds2.models.chat.served import courier
from ds2.rating import by_model
from ds2.rating.raters import Ratings


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(courier, "LONGEST_WAIT", 0.002)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")


def rate(folder: Path, server: ChatServer, rows: int = 30, path: str = "", **options: Any) -> Ratings:
    with running(server):
        address = server.url.removesuffix("/v1") + path if path else server.url
        config = llm(**{"base_url": address, "runtime": RaterRuntime(timeout=20.0), **options})
        return by_model.rate(
            config, pool_of([f"q{i}" for i in range(rows)]), ScaleConfig(), model={"served": "m"},
            revision=None, folder=folder, progress=False,
        )  # fmt: skip


def refusing(*names: str, words: str, status: int = 400, shape: str = "openai") -> ChatServer:
    """A server that refuses a question with any of these options."""

    def say(body: dict[str, Any], times: int) -> Any:
        if any(name in body for name in names):
            return error(status, words) if shape == "openai" else Reply({"error": words}, status)
        return GOOD

    return ChatServer(say)


REFUSED = {
    "o-series": (
        "max_tokens",
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
        "instead.",
        "max_completion_tokens for max_tokens",
    ),
    "response_format": ("response_format", "Unknown parameter: response_format", "without response_format"),
    "schema": ("response_format", "json_schema is not supported by this model", "without response_format"),
    "temperature": (
        "temperature",
        "Unsupported value: 'temperature' does not support 1.2 with this model. Only the default (1) value "
        "is supported.",
        "without temperature",
    ),
    "top_k": ("top_k", "body.top_k: Extra inputs are not permitted", "without top_k"),
    "top_p": ("top_p", "top_p is deprecated for this model", "without top_p"),
    "unnamed temperature": ("temperature", "invalid request", "without temperature"),
    "unnamed limit": ("max_tokens", "invalid request", "max_completion_tokens for max_tokens"),
}
"""Name -> the option that is refused, the words, what is learnt."""


@pytest.mark.parametrize("shape", ["openai", "bare"])
@pytest.mark.parametrize(("option", "words", "learnt"), REFUSED.values(), ids=REFUSED)
def test_an_option_that_is_refused_is_learnt_once_said_once_and_recorded(
    tmp_path, capsys, option, words, learnt, shape
):
    server = refusing(option, words=words, shape=shape)
    rated = rate(tmp_path, server, temperature=1.2, top_p=0.9, top_k=50)
    assert rated.ratings.tolist() == [6] * 30
    assert len(server.bodies) <= 30 + 8
    said = capsys.readouterr().out
    assert said.count("from now on") == 1
    assert words in said
    assert rated.details is not None
    (change,) = [change for change in rated.details.report.changes if change.startswith(learnt)]
    assert rated.details.report.changes[change] >= 29
    again = rate(tmp_path, server, temperature=1.2, top_p=0.9, top_k=50)  # from the log
    assert again.details is not None
    assert again.details.report.changes == rated.details.report.changes


def test_several_options_that_are_refused_one_after_the_other_are_all_learnt(tmp_path, capsys):
    def say(body: dict[str, Any], times: int) -> Any:
        for name in ("max_tokens", "temperature", "response_format"):
            if name in body:
                return error(400, f"Unsupported parameter: '{name}'", "unsupported_parameter")
        return GOOD

    server = ChatServer(say)
    rated = rate(tmp_path, server, temperature=1.2)
    assert rated.ratings.tolist() == [6] * 30
    assert len(server.bodies) == 30 + 3
    assert capsys.readouterr().out.count("from now on: max_completion_tokens for max_tokens, without") == 1


def test_words_that_a_row_brings_into_a_refusal_change_nothing(tmp_path, capsys):
    server = ChatServer(
        lambda body, times: error(400, "unsupported: temperature max_tokens")
        if "q7\n" in body["messages"][-1]["content"] else GOOD
    )  # fmt: skip
    rated = rate(tmp_path, server, temperature=1.2)
    assert rated.details is not None
    assert not rated.details.report.changes
    assert "from now on" not in capsys.readouterr().out
    assert max(server.asked.values()) <= 5


def probable(body: dict[str, Any]) -> dict[str, Any]:
    whole = completion("7")
    likely = [{"token": "7", "logprob": math.log(0.9)}]
    whole["choices"][0]["logprobs"] = {"content": [{"token": "7", "top_logprobs": likely}]}
    return whole


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("top_logprobs must be <= 5", 5),
        ("Invalid value for 'top_logprobs': must be less than or equal to 8.", 8),
        ("top_logprobs is not supported in this size", 5),
    ],
)
def test_as_many_probabilities_are_asked_for_as_the_server_gives(tmp_path, words, asked):
    server = ChatServer(
        lambda body, times: error(400, words) if body["top_logprobs"] > asked else probable(body)
    )
    rated = rate(tmp_path, server, reading=Reading.expected)
    assert rated.ratings.tolist() == [7] * 30
    assert len(server.bodies) == 31
    assert rated.details is not None
    assert rated.details.report.changes == {f"top_logprobs={asked}": 30}


def test_a_server_without_probabilities_says_so_at_the_first_question(tmp_path):
    def say(body: dict[str, Any], times: int) -> Any:
        limit = "max_tokens" in body
        return error(400, "Unknown parameter: max_tokens" if limit else "logprobs are not supported")

    server = ChatServer(say)
    with pytest.raises(
        UserError, match="needs token probabilities .logprobs., which .*use rater.reading=answer"
    ):
        rate(tmp_path, server, rows=100, reading=Reading.expected)
    assert len(server.bodies) <= 8


def test_a_schema_that_is_refused_after_a_limit_is_learnt_too(tmp_path):
    def say(body: dict[str, Any], times: int) -> Any:
        if "max_tokens" in body:
            return error(400, "Unknown parameter: max_tokens")
        return error(400, "no") if "response_format" in body else GOOD

    server = ChatServer(say)
    assert rate(tmp_path, server).ratings.tolist() == [6] * 30
    assert len(server.bodies) <= 36


def test_a_schema_that_no_endpoint_supports_is_left_out(tmp_path):
    server = refusing(
        "response_format", words="No endpoints found that support the requested parameters", status=404
    )
    rated = rate(tmp_path, server)
    assert rated.ratings.tolist() == [6] * 30
    assert len(server.bodies) <= 40


def test_a_schema_that_breaks_a_server_is_left_out(tmp_path):
    server = refusing("response_format", words="Internal Server Error", status=500)
    runtime = RaterRuntime(timeout=20.0, concurrency=2)
    assert rate(tmp_path, server, runtime=runtime).ratings.tolist() == [6] * 30
    assert sum("response_format" in body for body in server.bodies) < 8


ODD_ANSWERS = {
    "an answer among the reasoning": completion(None, reasoning_content=GOOD),
    "an answer in a tool call": completion(
        None, tool_calls=[{"function": {"name": "rate", "arguments": GOOD}}]
    ),
    "thinking in a part of its own": completion(
        [{"type": "thinking", "thinking": "7?"}, {"type": "text", "text": GOOD}]
    ),
    "a byte order mark": Reply(b"\xef\xbb\xbf" + json.dumps(completion(GOOD)).encode()),
    "JSON in a JSON string": Reply(json.dumps(json.dumps(completion(GOOD))).encode()),
    "a stream of events": Reply(
        b'data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}\n\n'
        + b"".join(
            f"data: {json.dumps({'choices': [{'delta': {'content': part}}]})}\n\n".encode()
            for part in (GOOD[:20], GOOD[20:])
        )
        + b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
    ),
}


@pytest.mark.parametrize("reply", ODD_ANSWERS.values(), ids=ODD_ANSWERS)
def test_an_answer_in_an_odd_place_is_read(tmp_path, reply):
    server = ChatServer(lambda body, times: reply)
    assert rate(tmp_path, server, rows=3).ratings.tolist() == [6] * 3
    assert len(server.bodies) == 3


def test_thinking_that_uses_up_the_tokens_is_named_at_the_first_answers(tmp_path):
    thinking = completion(None, "length", reasoning_content="Let me think about this conversation.")
    server = ChatServer(lambda body, times: thinking)
    with pytest.raises(
        UserError, match=r"cut off at rater.max_new_tokens=128, used up by thinking; raise it"
    ):
        rate(tmp_path, server, rows=600, runtime=RaterRuntime(concurrency=2))
    assert len(server.bodies) <= 10


def test_a_pool_in_which_nothing_can_be_read_is_asked_about_once(tmp_path):
    server = ChatServer(lambda body, times: completion(""))
    with pytest.raises(UserError, match="gave a rating in 0 of its first 40 answers"):
        rate(tmp_path, server, rows=40, retries=10)
    assert len(server.bodies) == 40


@pytest.mark.parametrize("path", ["", "/v1/", "/v1/chat/completions", "/v1/models"])
def test_the_address_may_be_that_of_a_call(tmp_path, path):
    assert rate(tmp_path, ChatServer(), rows=3, path=path).ratings.tolist() == [6] * 3


class Below(ChatServer):
    """Answers below /v1 only; `silent`: has no list of models there."""

    silent = False

    def reply(self, path: str, body: bytes) -> tuple[Reply, str]:
        if not path.startswith("/v1/") or (self.silent and path.endswith("/models")):
            return error(404, "Not Found"), ""
        return super().reply(path, body)


@pytest.mark.parametrize("silent", [False, True])
def test_an_address_without_v1_is_completed_and_said(tmp_path, capsys, silent):
    server = Below()
    server.silent = silent
    assert rate(tmp_path, server, rows=5, path="/").ratings.tolist() == [6] * 5
    assert f"answers below /v1: rater.base_url={server.url}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "models", [error(401, "who?"), error(403, "Missing scopes: api.model.read"), error(500, "oops"),
               Reply(b"<html><body>log in</body></html>"), Reply({"data": "odd"}), Reply([1, 2])],
)  # fmt: skip
def test_a_list_of_models_that_cannot_be_had_is_no_obstacle(tmp_path, models):
    assert rate(tmp_path, ChatServer(models=models), rows=3).ratings.tolist() == [6] * 3
