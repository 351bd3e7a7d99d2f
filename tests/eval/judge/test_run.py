from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.batch_server import BatchServer

from ds2.base.errors import UserError
from ds2.base.hashes import canonical_json
from ds2.base.json_files import write_json_lines
from ds2.config import ChatBackend, EvalConfig, EvalRuntime
from eval.__main__ import main
from eval.judge.answer import write_answers
from eval.judge.run import _key, compare, read_rows
from eval.judge.spec import AnswerSpec, JudgeConfig, JudgeSpec


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def spec(tmp_path: Path, fake_server: Any) -> JudgeSpec:
    """Four prompts; the first model's answer is the longer one in two, as long in one, shorter in one."""
    prompts = [{"id": f"q{i}", "turns": [f"question {i}"]} for i in range(4)]
    first, second = ("long answer", "long answer", "same", "no"), ("short", "short", "same", "longer")
    return JudgeSpec(
        write(
            tmp_path / "first.jsonl",
            [{**row, "answers": [text]} for row, text in zip(prompts, first, strict=True)],
        ),
        write(
            tmp_path / "second.jsonl",
            [{**row, "answers": [text]} for row, text in zip(prompts, second, strict=True)],
        ),
        str(tmp_path / "out"),
        JudgeConfig(model="judge", base_url=fake_server.url),
        bootstrap=100,
        progress=False,
    )


def test_wins_ties_and_losses_are_counted_over_both_orders(spec: JudgeSpec, fake_server: Any) -> None:
    result = compare(spec)
    assert [result[key]["value"] for key in ("win", "tie", "loss")] == [0.5, 0.25, 0.25]
    assert result["unread"] == 0
    assert len(fake_server.asked) == 7  # of two equal answers both orders are one question
    assert {request["model"] for request in fake_server.asked} == {"judge"}
    assert json.loads((Path(spec.output_dir) / "rates.json").read_text()) == result
    judgements = pd.read_parquet(Path(spec.output_dir) / "judgements.parquet")
    assert judgements["outcome"].tolist() == [1, 1, 0, -1]
    assert judgements["reply_shown_first"].str.contains(r"\[\[").all()


def test_replies_are_never_asked_for_twice(spec: JudgeSpec, fake_server: Any) -> None:
    spec.judge.runtime.concurrency = 1  # what is in flight when the run stops may be asked for again
    fake_server.statuses += [200] * 3 + [401] * 100
    with pytest.raises(UserError, match="refuses the key"):
        compare(spec)
    fake_server.statuses.clear()
    first = compare(spec)
    assert len(fake_server.asked) == 7
    assert compare(spec) == first
    assert len(fake_server.asked) == 7
    spec.judge.model = "another"
    compare(spec)
    assert len(fake_server.asked) == 14


def test_the_judge_can_be_asked_in_batches(spec: JudgeSpec, fake_server: Any) -> None:
    with BatchServer(reply=lambda text: fake_server.reply([{}, {"content": text}])).serving() as server:
        spec.judge.base_url, spec.judge.backend = server.url, ChatBackend.openai_batch
        spec.judge.model, spec.judge.runtime.poll_seconds = "m", 0.01
        result = compare(spec)
        assert compare(spec) == result
    assert [result[key]["value"] for key in ("win", "tie", "loss")] == [0.5, 0.25, 0.25]
    assert sorted(server.paid.values()) == [1] * 7


def test_a_busy_server_is_asked_again(spec: JudgeSpec, fake_server: Any) -> None:
    fake_server.statuses += [429, 503]
    assert compare(spec)["judgements"] == 4


def test_a_server_that_is_down_is_one_clear_line(spec: JudgeSpec) -> None:
    spec.judge.base_url = "http://127.0.0.1:9/v1"
    with pytest.raises(
        UserError,
        match=r"judge: no server answers at http://127.0.0.1:9/v1: start it, or check judge.base_url",
    ) as caught:
        compare(spec)
    assert "\n" not in str(caught.value)
    assert not (Path(spec.output_dir) / "rates.json").exists()


def test_an_address_with_a_password_is_refused_in_the_judge_s_words(spec: JudgeSpec) -> None:
    spec.judge.base_url = "http://me:secret@127.0.0.1/v1"
    with pytest.raises(UserError, match=r"judge: judge\.base_url must hold no user name") as caught:
        compare(spec)
    assert "secret" not in str(caught.value)


def test_replies_are_kept_under_the_same_keys_whatever_options_are_added() -> None:
    plain, chat = JudgeConfig(model="m"), ({"role": "user", "content": "q"},)
    whole = ["m", None, 0.0, 1024, list(chat)]
    assert _key(chat, plain) == hashlib.sha256(canonical_json(whole)).hexdigest()[:32]
    assert len({_key(chat, replace(plain, **{name: 1})) for name in ("top_p", "top_k", "seed")}) == 3


def test_a_server_that_refuses_is_not_asked_again(spec: JudgeSpec, fake_server: Any) -> None:
    fake_server.statuses += [401] * 100
    with pytest.raises(UserError, match=r"judge: .* refuses the key in OPENAI_API_KEY \(status 401"):
        compare(spec)
    assert len(fake_server.keys) <= spec.judge.runtime.concurrency


def test_something_else_than_a_chat_server_is_one_clear_line(spec: JudgeSpec, fake_server: Any) -> None:
    fake_server.body = "<html>"
    with pytest.raises(UserError, match=r"judge: what answers at .* is a page of HTML \('<html>'\), no API"):
        compare(spec)


def test_the_key_comes_from_the_environment(
    spec: JudgeSpec, fake_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    compare(spec)
    assert set(fake_server.keys) == {"Bearer secret"}
    assert "secret" not in "".join(
        path.read_text(errors="ignore") for path in Path(spec.output_dir).iterdir()
    )


def test_replies_without_a_verdict_are_left_out_and_counted(
    spec: JudgeSpec, fake_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = fake_server.reply
    monkeypatch.setattr(
        fake_server, "reply", lambda chat: "hm" if "question 3" in chat[1]["content"] else answer(chat)
    )
    result = compare(spec)
    assert (result["unread"], result["judgements"], result["loss"]["value"]) == (1, 3, 0)
    monkeypatch.setattr(fake_server, "reply", lambda chat: "hm")
    spec.judge.model = "mute"
    with pytest.raises(UserError, match="none of 8 replies holds a verdict"):
        compare(spec)


def test_files_that_do_not_match_are_one_clear_line(spec: JudgeSpec, tmp_path: Path) -> None:
    spec.second = write(tmp_path / "other.jsonl", [{"id": "z", "turns": ["?"], "answers": ["!"]}])
    with pytest.raises(UserError, match="they answer different prompts"):
        compare(spec)
    spec.second = str(tmp_path / "nowhere.jsonl")
    with pytest.raises(UserError, match="no such file"):
        compare(spec)


@pytest.mark.parametrize("again", [1, "1"])
def test_an_id_that_stands_twice_is_refused_with_its_lines(
    spec: JudgeSpec, tmp_path: Path, fake_server: Any, again: int | str
) -> None:
    rows = [{"id": i, "turns": ["same?"], "answers": [f"mine {i}"]} for i in (1, 2, again)]
    spec.first = spec.second = write(tmp_path / "twice.jsonl", rows)
    with pytest.raises(UserError, match=r"twice\.jsonl, line 3: id '?1'? is that of line 1 too"):
        compare(spec)
    assert fake_server.asked == []


@pytest.mark.parametrize(
    "row",
    [
        {"turns": ["x"]},
        {"id": 1},
        {"id": 1, "turns": []},
        {"id": 1, "turns": "x"},
        {"id": [1], "turns": ["x"]},
        7,
    ],
)
def test_a_row_that_is_no_prompt_is_named(tmp_path: Path, row: Any) -> None:
    path = write(tmp_path / "rows.jsonl", [{"id": 0, "turns": ["x"]}, row])
    with pytest.raises(UserError, match=r"rows\.jsonl, line 2: not a row with `id` and `turns`"):
        read_rows(path)


def test_answers_with_line_separators_are_judged_as_they_were_written(
    spec: JudgeSpec, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        rows = [{"id": 1, "turns": ["q\u2028"], "answers": [f"{name}\u2028and\u0085then\x0cmore"]}]
        write_json_lines(tmp_path / f"{name}.jsonl", rows)
    result = compare(spec)
    assert (result["prompts"], result["judgements"]) == (1, 1)


def test_rates_without_resamples_are_json_to_the_letter(spec: JudgeSpec) -> None:
    spec.bootstrap = 0
    compare(spec)
    text = (Path(spec.output_dir) / "rates.json").read_text()
    saved = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert saved["win"] == {"value": 0.5, "low": None, "high": None}
    spec.bootstrap = -1
    with pytest.raises(UserError, match="bootstrap=-1 must not be negative"):
        compare(spec)


def answer_spec(model: Path, adapter: Path | None, prompts: str, output: Path) -> AnswerSpec:
    config = EvalConfig(name="answers", dtype="float32", runtime=EvalRuntime(device="cpu"))
    return AnswerSpec(
        str(model),
        None,
        str(adapter) if adapter else None,
        prompts,
        str(output),
        0,
        config,
        max_new_tokens=8,
        progress=False,
    )


@pytest.mark.parametrize("wanted", [0, 4096, 10_000])
def test_more_new_tokens_than_the_model_takes_is_one_clear_line(
    tiny_model: Path, adapter: Path, tmp_path: Path, wanted: int
) -> None:
    prompts = write(tmp_path / "p.jsonl", [{"id": 1, "turns": ["one"]}])
    spec = replace(answer_spec(tiny_model, adapter, prompts, tmp_path / "a.jsonl"), max_new_tokens=wanted)
    with pytest.raises(
        UserError, match=rf"max_new_tokens={wanted} must be at least 1 and below the 4096 tok"
    ):
        write_answers(spec)
    spec.config.dtype = "float12"
    with pytest.raises(UserError, match=r"eval\.dtype=float12 is unknown"):
        write_answers(spec)


def test_prompts_that_lose_their_beginning_are_counted(
    tiny_model: Path, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"id": 1, "turns": ["x" * 100]}, {"id": 2, "turns": ["short"]}]
    prompts = write(tmp_path / "p.jsonl", rows)
    spec = answer_spec(tiny_model, adapter, prompts, tmp_path / "a.jsonl")
    write_answers(replace(spec, max_new_tokens=4096 - 100))
    assert (
        "eval: 1 of 2 prompts are longer than the 100 tokens that max_new_tokens=3996"
        in capsys.readouterr().err
    )


def test_a_later_turn_sees_the_models_own_earlier_answer(
    tiny_model: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval.models.huggingface import HFLM

    seen: list[str] = []

    def generate_until(self: Any, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        seen.extend(request.args[0] for request in requests)
        return [f" answer {len(seen)} " for _ in requests]

    monkeypatch.setattr(HFLM, "generate_until", generate_until)
    prompts = write(tmp_path / "p.jsonl", [{"id": 1, "turns": ["one", "two"]}, {"id": 2, "turns": ["three"]}])
    rows = write_answers(answer_spec(tiny_model, adapter, prompts, tmp_path / "a.jsonl"))
    assert [row["answers"] for row in rows] == [["answer 2", "answer 3"], ["answer 2"]]
    assert seen[2] == "<|user|>\none\n<|assistant|>\nanswer 2\n<|user|>\ntwo\n<|assistant|>\n"
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == rows


def test_answers_of_a_real_model_can_be_compared(
    tiny_model: Path, adapter: Path, tmp_path: Path, fake_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from ds2.base.dataclass_json import to_plain

    prompts = write(tmp_path / "p.jsonl", [{"id": i, "turns": [f"question {i}"]} for i in range(3)])
    answered = answer_spec(tiny_model, adapter, prompts, tmp_path / "a.jsonl")
    judged = JudgeSpec(
        answered.output, answered.output, str(tmp_path / "out"),
        JudgeConfig(model="j", base_url=fake_server.url),
        bootstrap=10, progress=False,
    )  # fmt: skip
    for command, spec in (("answer", answered), ("judge", judged)):
        (tmp_path / "spec.json").write_text(json.dumps(to_plain(spec)))
        assert main([command, str(tmp_path / "spec.json")]) == 0
    assert json.loads(capsys.readouterr().out)["tie"]["value"] == 1  # a model against itself


def test_a_model_without_chat_template_is_one_clear_line(tiny_model: Path, tmp_path: Path) -> None:
    prompts = write(tmp_path / "p.jsonl", [{"id": 1, "turns": ["one"]}])
    with pytest.raises(UserError, match="has no chat template"):
        write_answers(answer_spec(tiny_model, None, prompts, tmp_path / "a.jsonl"))
