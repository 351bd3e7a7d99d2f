"""`ds2 plan=true` with a language model as rater."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.fake_backend import GOOD, FakeBackend, llm, pool_of

from ds2.base.errors import UserError
from ds2.cli import main as cli
from ds2.config import ChatBackend, CurationMethod, PriceConfig, RaterRuntime, Reading, ScaleConfig
from ds2.rating import by_model, planning
from ds2.rating.cost import prompt_tokens

TEXTS = [f"question {i} " + "word " * (i % 50) for i in range(400)]
MODEL = {"served": "m"}
PRICED = RaterRuntime(price=PriceConfig(input=1.0, output=4.0))


def plan(folder: Path, **options: Any) -> planning.Forecast:
    return planning.forecast(llm(**options), pool_of(TEXTS), model=MODEL, revision=None, folder=folder)


def words(folder: Path, curation: CurationMethod = CurationMethod.posterior, **options: Any) -> str:
    return "\n".join(planning.lines(llm(**options), len(TEXTS), plan(folder, **options), curation))


def test_a_plan_asks_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    assert plan(tmp_path / "answers").questions == 400
    assert not list(tmp_path.iterdir())


def test_tokens_and_price_are_those_of_the_rating_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan(tmp_path, runtime=PRICED)
    asked: list[int] = []
    counter = planning.estimate_tokens
    backend = FakeBackend(lambda request, times: asked.append(prompt_tokens(request, counter)) or GOOD)
    backend.install(monkeypatch).count_tokens = counter
    by_model.rate(
        llm(), pool_of(TEXTS), ScaleConfig(), model=MODEL, revision=None, folder=tmp_path, progress=False
    )
    assert planned.tokens_in == pytest.approx(sum(asked), rel=0.02)  # from half of them, drawn at random
    assert planned.tokens_out_at_most == 400 * 128
    assert planned.tokens_out / 400 == pytest.approx(counter(GOOD), abs=1)
    assert planned.dollars is not None
    assert planned.dollars[0] == pytest.approx((planned.tokens_in + 4 * planned.tokens_out) / 1e6)
    assert planned.dollars[1] == pytest.approx((planned.tokens_in + 4 * 400 * 128) / 1e6)


def test_what_the_log_answers_is_not_planned_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = FakeBackend(
        lambda request, times: "hm" if "question 7 " in request.chat[0]["content"] else GOOD
    )
    backend.install(monkeypatch).count_tokens = planning.estimate_tokens
    config = llm(sample=0.5, max_unrated=1.0)
    by_model.rate(
        config, pool_of(TEXTS), ScaleConfig(), model=MODEL, revision=None, folder=tmp_path, progress=False
    )
    planned = plan(tmp_path)
    assert (planned.wanted, planned.questions) == (400, 200)
    assert planned.answered == len(backend.asked)
    assert plan(tmp_path, sample=0.5).questions == 0
    assert plan(tmp_path, sample=0.5, repeats=2).questions == 200


def test_the_forecast_in_words(tmp_path: Path) -> None:
    said = words(tmp_path, model="gpt-4o-mini", sample=0.1)
    assert (
        "40 ratings by gpt-4o-mini in a share of 0.1 of 400: 0 answers are in the log, 40 questions to ask"
        in said
    )
    assert "estimated from characters, on the high side" in said
    assert "about $0.0" in said
    assert "listed 2026-06: $0.15 in, $0.6 out a million tokens, none of them cached" in said
    assert "64 in flight, assuming 2 s an answer" in said
    assert "no score" not in said
    assert "the other samples get no score from curation=rank" in words(
        tmp_path, CurationMethod.rank, sample=0.1
    )


def test_a_price_that_is_not_known_is_said_and_is_not_zero(tmp_path: Path) -> None:
    said = words(tmp_path, model="my-deployment")
    assert "price: not known: conf/price.yaml does not list my-deployment" in said
    assert "$" not in said
    assert "price: none, the model runs on this machine" in words(tmp_path, backend=ChatBackend.transformers)


def test_a_limit_that_the_rating_would_refuse_is_refused_by_the_plan(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="rater.max_cost needs the price of my-deployment"):
        plan(tmp_path, model="my-deployment", max_cost=1.0)


def test_the_slowest_limit_gives_the_time(tmp_path: Path) -> None:
    pace = RaterRuntime(requests_per_minute=4.0, tokens_per_minute=1e9)
    assert "time: about 1 h 40 min (rater.runtime.requests_per_minute)" in words(tmp_path, runtime=pace)
    pace = RaterRuntime(requests_per_minute=1e9, tokens_per_minute=1000.0)
    assert "(rater.runtime.tokens_per_minute)" in words(tmp_path, runtime=pace)
    assert "at most a day" in words(tmp_path, backend=ChatBackend.openai_batch)


def test_the_tokens_of_a_local_model_are_counted_by_its_tokenizer(tiny_model: Path, tmp_path: Path) -> None:
    planned = plan(
        tmp_path, backend=ChatBackend.transformers, model=str(tiny_model), max_prompt_tokens=100_000
    )
    assert planned.counted_by == "counted by its tokenizer"
    assert (
        planned.tokens_in > 1.5 * plan(tmp_path).tokens_in
    )  # the tiny model's tokenizer is no match for a real one


def test_the_expected_reading_writes_one_token(tmp_path: Path) -> None:
    planned = plan(tmp_path, reading=Reading.expected)
    assert planned.tokens_out == planned.tokens_out_at_most == 400


def test_the_command_prints_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    rows = [
        {"messages": [{"role": "user", "content": t}, {"role": "assistant", "content": "a"}]} for t in TEXTS
    ]
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code = cli.run(
        [
            "pool=jsonl", f"pool.path={tmp_path}/pool.jsonl", "rater=gpt_4o_mini",
            "rater.backend=openai_batch",
            "rater.sample=0.1", "until=curate", "plan=true", f"paths.artifacts={tmp_path}/artifacts",
        ]
    )  # fmt: skip
    said = capsys.readouterr().out
    assert code == 0
    assert "40 questions to ask" in said
    assert "by the Batch API: $0.075 in, $0.3 out" in said
    assert "the other samples are ordered by a student of the rater" in said
    assert "what a rated share buys" in said
    assert "30%" in said
    assert "all rated and used as they are" in said
    assert not (tmp_path / "artifacts" / "answers").exists()


@pytest.mark.parametrize(
    ("method", "said"),
    [("rank", "get no score from curation=rank"), ("none", "get no score from curation=none"),
     ("posterior", "get a score from their neighbours"), ("refine", "ordered by a student of the rater")],
)  # fmt: skip
def test_the_plan_tells_what_becomes_of_samples_that_are_not_rated(tmp_path: Path, method: str, said: str):
    config = llm(sample=0.3, runtime=RaterRuntime(price=PriceConfig(input=1.0, output=2.0)))
    left = planning.forecast(config, pool_of(TEXTS), model={"served": "m"}, revision=None, folder=tmp_path)
    lines = planning.lines(config, len(TEXTS), left, CurationMethod(method))
    assert said in lines[1]
    assert "curation=refine" in lines[1] or method == "refine"
    shown = left.dollars[0]
    assert f"30% about ${shown:,.2f}" in lines[-1]
    assert f"all about ${shown / 0.3:,.2f}" in lines[-1]


def test_the_plan_of_a_share_in_batches_says_so(tmp_path: Path) -> None:
    said = words(tmp_path, sample=0.3, batches=4, stop_when=0.95)
    assert "in 4 batches, at most: rater.stop_when=0.95" in said
    assert "120 questions to ask" in said
    assert "batches" not in words(tmp_path, sample=0.3)
