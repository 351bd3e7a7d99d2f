"""The loop: rounds, replay, counts, and when it stops."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.fake_backend import GOOD, FakeBackend, llm, pool_of, rating

from ds2.base.errors import UserError
from ds2.config import Reading, ScaleConfig, Unrated
from ds2.models.chat import Answer, ChatRequest
from ds2.rating import by_model

SCALE = ScaleConfig()
TEXTS = [f"question {i}" for i in range(20)]


def rate(tmp_path, pool, config=None, scale=SCALE, **model):
    return by_model.rate(
        config or llm(), pool, scale, model=model or {"served": "m"}, revision=None, folder=tmp_path,
        progress=False
    )  # fmt: skip


def words(request: ChatRequest) -> str:
    return request.chat[0]["content"]


def test_every_sample_gets_its_rating_and_criteria(tmp_path, monkeypatch):
    def say(request, times):
        (number,) = (i for i in range(20) if f"question {i}\n" in words(request))
        return rating(1 + number % 10)

    FakeBackend(say).install(monkeypatch)
    rated = rate(tmp_path, pool_of(TEXTS))
    assert rated.ratings.tolist() == [1 + i % 10 for i in range(20)]
    assert rated.scores.tolist() == [min(max(1 + i % 10, 4), 9) - 4 for i in range(20)]
    assert rated.details is not None
    assert rated.details.criteria[0, 0].tolist() == [3, 4, 5, 1]
    assert rated.details.report.total["parsed"] == 20
    assert rated.details.report.prompt_tokens == 2000
    assert rated.details.report.cached_tokens == 800


def test_what_the_log_holds_is_not_asked_again(tmp_path, monkeypatch):
    backend = FakeBackend(lambda request, times: GOOD).install(monkeypatch)
    first = rate(tmp_path, pool_of(TEXTS[:15]))
    second = rate(tmp_path, pool_of(TEXTS))
    assert len(backend.asked) == len(set(backend.asked)) == 20
    assert second.details is not None
    assert second.details.report.replayed == 15
    assert second.ratings[:15].tolist() == first.ratings.tolist()


@pytest.mark.parametrize(
    "change",
    [{"temperature": 0.5}, {"top_k": 3}, {"max_new_tokens": 64}, {"seed": 1},
     {"quantization": "bitsandbytes_4bit"}],
)  # fmt: skip
def test_other_sampling_or_another_model_is_asked_anew(tmp_path, monkeypatch, change):
    backend = FakeBackend(lambda request, times: GOOD).install(monkeypatch)
    rate(tmp_path, pool_of(TEXTS))
    rate(tmp_path, pool_of(TEXTS), llm(**change))
    assert len(set(backend.asked)) == 40
    rate(tmp_path, pool_of(TEXTS), served="another")
    assert len(set(backend.asked)) == 60


def test_an_unreadable_answer_is_asked_again_with_the_same_messages(tmp_path, monkeypatch):
    chats = []

    def say(request, times):
        chats.append(request.chat)
        return GOOD if len(chats) == 3 else "hm"

    FakeBackend(say).install(monkeypatch)
    rated = rate(tmp_path, pool_of(["one"]))
    assert rated.ratings.tolist() == [6]
    assert chats[0] == chats[1] == chats[2]
    assert rated.details is not None
    assert rated.details.report.answers == 3


def test_a_rerun_replays_unreadable_answers_too(tmp_path, monkeypatch):
    backend = FakeBackend(lambda request, times: "hm").install(monkeypatch)
    for _ in range(2):
        rated = rate(tmp_path, pool_of(["one"]), llm(max_unrated=1))
        assert rated.scores.tolist() == [-1]
    assert len(backend.asked) == 3


def test_an_undelivered_answer_is_asked_again_under_its_own_key(tmp_path, monkeypatch):
    lost = Answer("", "timed out", finish="failed")
    backend = FakeBackend(lambda request, times: GOOD if times else lost).install(monkeypatch)
    assert rate(tmp_path, pool_of(["one"])).ratings.tolist() == [6]
    assert len(backend.asked) == 2
    rate(tmp_path, pool_of(["one"]))
    assert len(backend.asked) == 2


def test_equal_conversations_share_one_answer(tmp_path, monkeypatch):
    backend = FakeBackend(lambda request, times: GOOD).install(monkeypatch)
    assert rate(tmp_path, pool_of(["same"] * 5)).ratings.tolist() == [6] * 5
    assert len(backend.asked) == 1


def test_repeats_are_asked_apart_and_averaged(tmp_path, monkeypatch):
    seen: dict[str, int] = {}

    def say(request, times):
        return rating([5, 6, 9][seen.setdefault(request.key, len(seen)) % 3])

    FakeBackend(say).install(monkeypatch)
    rated = rate(tmp_path, pool_of(["one", "two"]), llm(repeats=3))
    assert len(seen) == 6
    np.testing.assert_allclose(rated.ratings, [20 / 3] * 2)
    assert rated.details is not None
    assert rated.details.criteria[0, :, -1].tolist() == [5, 6, 9]


def test_too_many_unrated_stop_the_stage_in_one_line(tmp_path, monkeypatch):
    FakeBackend(lambda request, times: "no idea" if "question 1" in words(request) else GOOD).install(
        monkeypatch
    )
    with pytest.raises(
        UserError, match=r"left 11 of 20 samples unrated, more than rater.max_unrated=0.05"
    ) as caught:
        rate(tmp_path, pool_of(TEXTS))
    assert "'no idea'" in str(caught.value)
    assert "\n" not in str(caught.value)
    rated = rate(tmp_path, pool_of(TEXTS), llm(max_unrated=0.6))
    assert rated.warnings[-1] == "11 samples are unrated"
    assert rated.details is not None
    assert [(one.position, one.text) for one in rated.details.unrated][:2] == [
        (1, "no idea"),
        (10, "no idea"),
    ]
    with pytest.raises(UserError, match="rater.unrated=fail"):
        rate(tmp_path, pool_of(TEXTS), llm(max_unrated=0.6, unrated=Unrated.fail))


def test_a_rater_that_cannot_succeed_is_stopped_before_the_whole_pool_is_paid_for(tmp_path, monkeypatch):
    backend = FakeBackend(lambda request, times: "I am a teapot").install(monkeypatch)
    with pytest.raises(UserError, match="gave a rating in 0 of its first 500 answers"):
        rate(tmp_path, pool_of([f"q{i}" for i in range(3000)]))
    assert len(backend.asked) == 500


def test_a_rater_that_needs_its_retries_is_not_stopped(tmp_path, monkeypatch):
    FakeBackend(lambda request, times: GOOD if int(request.key[:4], 16) % 2 else "hm").install(monkeypatch)
    rated = rate(tmp_path, pool_of([f"q{i}" for i in range(1200)]), llm(retries=10))
    assert np.isfinite(rated.ratings).mean() > 0.99  # half of all answers are unreadable, eleven tries


def test_outcomes_are_counted_by_source(tmp_path, monkeypatch):
    answers = {"a": GOOD, "b": f"Sure: {GOOD}", "c": "I cannot rate this.", "d": '{"rarity": 3,', "e": "hm"}
    FakeBackend(lambda request, times: answers[words(request).partition("### user: ")[2][0]]).install(
        monkeypatch
    )
    rated = rate(tmp_path, pool_of(list("abcde"), ["x", "x", "y", "y", "y"]), llm(max_unrated=1, retries=0))
    assert rated.details is not None
    report = rated.details.report
    named = {s: {k: n for k, n in counts.items() if n} for s, counts in report.outcomes.items()}
    assert named == {"x": {"parsed": 1, "repaired": 1}, "y": {"refused": 1, "truncated": 1, "unreadable": 1}}
    assert rated.details.outcomes == ("parsed", "repaired", "refused", "truncated", "unreadable")


def test_a_collapsed_rater_is_warned_of(tmp_path, monkeypatch):
    FakeBackend(lambda request, times: rating(9 if "question 3\n" in words(request) else 7)).install(
        monkeypatch
    )
    (warning,) = rate(tmp_path, pool_of(TEXTS)).warnings
    assert "COLLAPSED: 95.0% of its scores are 3" in warning


def test_long_conversations_are_cut_and_counted_and_the_instructions_never(tmp_path, monkeypatch):
    prompts = []
    FakeBackend(lambda request, times: prompts.append(words(request)) or GOOD).install(monkeypatch)
    long = "begin " + "middle " * 5000 + "end"
    rated = rate(tmp_path, pool_of([long, "short"]), llm(max_prompt_tokens=600))
    assert rated.details is not None
    assert rated.details.report.cut == 1
    cut, whole = sorted(prompts, key=len, reverse=True)
    assert 500 < len(cut) // 4 <= 601
    assert cut[:1000] == whole[:1000]
    assert "begin middle" in cut
    assert "middle end" in cut
    assert "characters left out" in cut
    assert cut.endswith("Answer with the JSON object alone.")


def test_the_expected_rating_is_the_mean_of_the_distribution(tmp_path, monkeypatch):
    shares = (0.0, 0, 0, 0, 0.25, 0.25, 0.5, 0, 0)
    answer = Answer("", "7", distribution=shares)
    FakeBackend(lambda request, times: answer).install(monkeypatch)
    rated = rate(tmp_path, pool_of(["one"]), llm(reading=Reading.expected))
    assert rated.ratings.tolist() == [6.25]
    assert rated.scores.tolist() == [2]
    assert rated.details is not None
    np.testing.assert_allclose(rated.details.distribution, [shares])


@pytest.mark.parametrize(
    ("config", "scale", "message"),
    [
        (
            llm(reading=Reading.expected),
            ScaleConfig(1, 10),
            "rater.reading=expected reads ratings 1..9, scale.high=10",
        ),
        (llm(prompt_version=99), SCALE, "rater.prompt_version=99 is unknown; there is: 1"),
        (llm(max_prompt_tokens=100), SCALE, "leaves no room for a conversation"),
        (llm(repeats=0), SCALE, "rater.repeats=0 must be at least 1"),
        (llm(sample=0), SCALE, "rater.sample=0 must be a share"),
        (llm(max_unrated=2), SCALE, "rater.max_unrated=2 must be a share"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_one_line(tmp_path, monkeypatch, config, scale, message):
    FakeBackend(lambda request, times: GOOD).install(monkeypatch)
    with pytest.raises(UserError, match=message):
        rate(tmp_path, pool_of(["one"]), config, scale)
