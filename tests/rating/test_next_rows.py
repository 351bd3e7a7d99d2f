"""A share rated in batches: what is asked next is what may be among the best, and it can stop."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.fake_backend import FakeBackend, llm, rating

from ds2.base.errors import UserError
from ds2.config import ScaleConfig
from ds2.pool import Message, Pool, Sample
from ds2.rating import by_model
from ds2.rating.next_rows import most_promising, overlap_of_tops
from ds2.rating.sample import drawn

TEXTS = [f"question {i} " + "word " * (i % 40) for i in range(300)]


def say(request: Any, times: int) -> str:
    """Longer is better: what a student can learn."""
    return rating(min(9, 4 + request.chat[0]["content"].count("word ") // 8))


def answered(texts: list[str]) -> Pool:
    """Every text is an answer."""
    messages = ((Message("user", "q"), Message("assistant", text)) for text in texts)
    return Pool([Sample(f"p{i}", i, "s", m, {}) for i, m in enumerate(messages)], len(texts))


def rate(folder: Path, texts: list[str] = TEXTS, **options: Any) -> by_model.Ratings:
    return by_model.rate(
        llm(**options), answered(texts), ScaleConfig(), model={"served": "m"}, revision=None, folder=folder,
        progress=False,
    )  # fmt: skip


def test_the_share_is_asked_in_batches_the_first_at_random(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    backend = FakeBackend(say).install(monkeypatch)
    rated = rate(tmp_path, sample=0.3, batches=3)
    assert rated.asked.sum() == len(backend.asked) == 90
    first = drawn([f"p{i}" for i in range(300)], 0.1, 0)
    assert rated.asked[first].all()
    by_chance = drawn([f"p{i}" for i in range(300)], 0.3, 0)
    assert (rated.asked != by_chance).any()
    again = rate(tmp_path, sample=0.3, batches=3)
    assert (again.asked == rated.asked).all()
    assert len(backend.asked) == 90, "every answer was in the log"


def test_one_batch_is_the_random_share_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    FakeBackend(say).install(monkeypatch)
    rated = rate(tmp_path, sample=0.2)
    assert (rated.asked == drawn([f"p{i}" for i in range(300)], 0.2, 0)).all()


def test_it_stops_once_the_best_tenth_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    FakeBackend(say).install(monkeypatch)
    stopped = rate(tmp_path, sample=0.9, batches=9, stop_when=0.05)
    assert stopped.asked.sum() == 60
    whole = rate(tmp_path, sample=0.5, batches=5, stop_when=1.0)
    assert 90 <= whole.asked.sum() <= 150


def test_a_rater_of_one_score_is_asked_on_at_random(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    FakeBackend(lambda request, times: rating(6)).install(monkeypatch)
    rows = np.flatnonzero(rate(tmp_path, sample=0.3, batches=3).asked)
    assert len(rows) == 90
    assert rows.max() > 250, "not the first rows of the file"


def test_answers_without_a_word_are_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    FakeBackend(lambda request, times: rating(6)).install(monkeypatch)
    assert rate(tmp_path, [f"{i}" for i in range(100)], sample=0.3, batches=3).asked.sum() == 30


def test_repeats_and_a_limit_on_cost_go_with_batches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    backend = FakeBackend(say).install(monkeypatch)
    rated = rate(tmp_path, sample=0.2, batches=2, repeats=2)
    assert rated.asked.sum() == 60
    assert len(backend.asked) == 120


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batches": 0}, "rater.batches=0 must be at least 1"),
        ({"batches": 3}, "unless rater.sample is below 1"),
        ({"sample": 0.3, "stop_when": 0.9}, "needs rater.batches=3 or more"),
        ({"sample": 0.3, "batches": 3, "stop_when": 1.5}, "rater.stop_when=1.5 must be above 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        rate(tmp_path, **options)


def test_the_most_promising_are_unasked_rows_of_the_largest_promise() -> None:
    promise = np.array([0.1, 0.9, 0.5, 0.7, 0.2])
    asked = np.array([False, True, False, False, False])
    assert most_promising(promise, asked, 2, seed=0).tolist() == [2, 3]


def test_of_equal_promise_rows_are_drawn() -> None:
    rows = most_promising(np.zeros(1000), np.zeros(1000, dtype=bool), 100, seed=0)
    assert rows.max() > 800
    assert (rows != most_promising(np.zeros(1000), np.zeros(1000, dtype=bool), 100, seed=1)).any()


def test_the_rows_asked_next_are_better_than_those_of_a_random_share(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    FakeBackend(say).install(monkeypatch)
    by_promise = rate(tmp_path, sample=0.3, batches=3).ratings
    by_chance = rate(tmp_path, sample=0.3).ratings
    assert np.nanmean(by_promise) > np.nanmean(by_chance) + 0.5


def test_tops_overlap_by_the_share_they_have_in_common() -> None:
    order = np.arange(100.0)
    assert overlap_of_tops(order, order) == 1
    assert overlap_of_tops(order, -order) == 0
    shifted = order.copy()
    shifted[:5] += 1000
    assert overlap_of_tops(order, shifted) == 0.5
