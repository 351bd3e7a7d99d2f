"""Prices, and the limit at which a rating stops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.fake_backend import GOOD, FakeBackend, llm, pool_of

from ds2.base.errors import UserError
from ds2.config import ChatBackend, PriceConfig, RaterRuntime, ScaleConfig
from ds2.models.chat import Answer, ChatRequest
from ds2.rating import by_model
from ds2.rating.cost import limit_price, price_of

TEXTS = [f"question {i}" for i in range(20)]
PRICED = RaterRuntime(price=PriceConfig(input=100.0, output=5000.0, cached_input=50.0))
"""An answer of the fake back end (100 tokens in, 40 of them cached, 20 out) costs .006 + .002 + .1
dollars."""
EACH = 0.108
MOST = 0.35
"""More than a question can cost: a token for each of its bytes."""


def rate(folder: Path, texts: list[str] = TEXTS, **options: Any) -> by_model.Ratings:
    return by_model.rate(
        llm(runtime=PRICED, max_new_tokens=20, **options), pool_of(texts), ScaleConfig(),
        model={"served": "m"},
        revision=None, folder=folder, progress=False,
    )  # fmt: skip


def test_a_listed_model_has_its_price_under_a_dated_name_too_and_a_batch_its_discount() -> None:
    plain = price_of(llm(model="gpt-4o-mini"))
    assert plain is not None
    assert (plain.prompt, plain.cached, plain.completion) == (0.15, 0.075, 0.6)
    assert plain.of(1_000_000, 1_000_000, 500_000) == pytest.approx(0.075 + 0.0375 + 0.6)
    batch = price_of(llm(model="gpt-4o-mini-2024-07-18", backend=ChatBackend.openai_batch))
    assert batch is not None
    assert batch.of(1_000_000, 1_000_000) == pytest.approx(0.375)


def test_a_model_that_is_not_listed_has_no_price_and_no_limit() -> None:
    assert price_of(llm(model="my-deployment")) is None
    with pytest.raises(
        UserError, match=r"rater.max_cost needs the price of m, .* give rater.runtime.price.input"
    ):
        limit_price(llm(max_cost=1.0))
    with pytest.raises(UserError, match="give both"):
        price_of(llm(runtime=RaterRuntime(price=PriceConfig(input=1.0))))


class Greedy(FakeBackend):
    """A back end that takes all questions before it answers one, as a batch does."""

    def __init__(self, say: Callable[[ChatRequest, int], Answer | str]) -> None:
        super().__init__(say)
        self.passes: list[int] = []

    def answers(self, requests: Iterable[ChatRequest]) -> Iterator[Answer]:
        taken = list(requests)
        self.passes.append(len(taken))
        return super().answers(taken)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    return FakeBackend(lambda request, times: GOOD).install(monkeypatch)


def test_rating_stops_before_the_limit_is_passed_and_a_higher_one_goes_on(
    backend: FakeBackend, tmp_path: Path
) -> None:
    with pytest.raises(
        UserError, match=r"rater.max_cost=1.2 US dollars is reached: \d+ of 20 ratings are there"
    ) as caught:
        rate(tmp_path, max_cost=1.2)
    assert "\n" not in str(caught.value)
    first = len(backend.asked)
    assert 0 < first < 20
    assert 1.2 - MOST < first * EACH <= 1.2
    with pytest.raises(UserError, match="is reached"):
        rate(tmp_path, max_cost=1.2)
    assert len(backend.asked) == first  # what earlier runs paid counts
    rated = rate(tmp_path, max_cost=20.0)
    assert len(backend.asked) == len(set(backend.asked)) == 20
    assert (rated.scores >= 0).all()


def test_questions_in_flight_count_with_the_most_that_they_can_cost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    backend = Greedy(lambda request, times: GOOD)
    backend.install(monkeypatch)
    with pytest.raises(UserError, match="is reached"):
        rate(tmp_path, max_cost=1.2)
    assert len(backend.passes) > 2  # once the answers are there, what they left of the limit is used
    assert 1.2 - MOST < len(backend.asked) * EACH <= 1.2


def test_unreadable_answers_cost_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    backend = FakeBackend(lambda request, times: "hm").install(monkeypatch)
    for _ in range(2):
        with pytest.raises(UserError, match="is reached"):
            rate(tmp_path, max_cost=5.0, retries=10, max_unrated=1.0)
    assert len(backend.asked) * EACH <= 5.0


def test_without_a_limit_nothing_is_held_back(backend: FakeBackend, tmp_path: Path) -> None:
    rate(tmp_path)
    assert len(backend.asked) == 20


@pytest.mark.parametrize("kind", [FakeBackend, Greedy])
def test_answers_without_a_count_of_tokens_cost_the_most_that_they_can(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: type[FakeBackend],
) -> None:
    backend = kind(lambda request, times: Answer("", GOOD)).install(monkeypatch)
    for _ in range(2):
        with pytest.raises(UserError, match="is reached"):
            rate(tmp_path, max_cost=2.0)
        assert capsys.readouterr().out.count("answers without a count of tokens") == 1
    assert 2.0 / MOST - 1 < len(backend.asked) < 2.0 / 0.2


@pytest.mark.parametrize("kind", [FakeBackend, Greedy])
def test_a_server_that_counts_more_tokens_than_estimated_does_not_pass_the_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: type[FakeBackend]
) -> None:
    """A question of some 1,700 bytes, estimated at 430 tokens, that the server counts as 1,500: .15 + .1
    dollars."""
    backend = kind(lambda request, times: Answer("", GOOD, prompt_tokens=1500, completion_tokens=20))
    backend.install(monkeypatch)
    texts = [f"question {i}" for i in range(100)]
    for limit in (5.0, 20.0):
        with pytest.raises(UserError, match=f"rater.max_cost={limit:g} US dollars is reached"):
            rate(tmp_path, texts, max_cost=limit)
        assert limit - MOST < len(backend.asked) * 0.25 <= limit
