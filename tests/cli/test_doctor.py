"""`ds2 doctor rater=...` asks the model twice and says what it can do."""

from __future__ import annotations

import math
from typing import Any

import pytest
from helpers.chat_server import GOOD, ChatServer, completion, error, running

pytest.importorskip("openai")

from ds2.cli import main as cli


def doctor(server: ChatServer, *overrides: str) -> int:
    with running(server):
        return cli.run(
            ["doctor", "rater=openai_compatible", "rater.model=m", f"rater.base_url={server.url}", *overrides]
        )


def test_two_questions_tell_what_a_server_can_do_and_what_it_costs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def say(body: dict[str, Any], times: int) -> Any:
        if "top_logprobs" not in body:
            return GOOD
        whole = completion("7")
        likely = [{"token": "7", "logprob": math.log(0.5)}, {"token": "8", "logprob": math.log(0.5)}]
        whole["choices"][0]["logprobs"] = {"content": [{"token": "7", "top_logprobs": likely}]}
        return whole

    server = ChatServer(say)
    assert doctor(server, "rater.runtime.price.input=1", "rater.runtime.price.output=5") == 0
    assert len(server.bodies) == 2
    said = capsys.readouterr().out
    assert "model: m, which calls itself m-2026-01-01; backend: openai" in said
    assert "rater.reading=answer: works: parsed, rating 6; 100 tokens in, 20 out" in said
    assert "rater.reading=expected: works: parsed, rating 7.5" in said
    assert "asked otherwise than usual: nothing" in said
    assert "cost: $0.000400 for these questions; about $0.20 for 1,000 rows" in said


def test_what_a_server_cannot_do_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    def say(body: dict[str, Any], times: int) -> Any:
        return error(400, "Unsupported parameter: 'max_tokens'") if "max_tokens" in body else GOOD

    assert doctor(ChatServer(say)) == 0
    said = capsys.readouterr().out
    assert "rater.reading=expected: no rating (unreadable: the server gave no probabilities" in said
    assert "asked otherwise than usual: max_completion_tokens for max_tokens" in said
    assert "cost: not known: conf/price.yaml does not list m" in said


def test_a_server_that_gives_no_rating_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    thinking = completion(None, "length", reasoning_content="Let me think.")
    assert doctor(ChatServer(lambda body, times: thinking)) == 1
    assert "no rating (truncated: cut off while it was thinking)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["rater=openai_compatible", "rater.model=m", "rater.base_url=http://127.0.0.1:9/v1"],
            "no server answers",
        ),
        (["rater=truth"], "ds2 doctor asks language models; rater=truth is none"),
    ],
)
def test_a_rater_that_cannot_be_asked_is_one_line(arguments, message, capsys) -> None:
    assert cli.run(["doctor", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_local_model_is_asked_on_this_machine(tiny_model, capsys) -> None:
    arguments = ["rater=local", f"rater.model={tiny_model}", "rater.max_new_tokens=4"]
    assert cli.run(["doctor", *arguments]) in (0, 1)  # it is random
    said = capsys.readouterr().out
    assert "backend: transformers" in said or "backend: vllm" in said
    assert "cost: none, the model runs on this machine" in said


def test_the_variables_that_decide_where_a_run_is_tracked_are_shown(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    assert cli.run(["doctor", f"paths.artifacts={tmp_path}"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("W&B's variables")]
    assert "WANDB_PROJECT=mine" in line
    assert "WANDB_MODE" not in line
