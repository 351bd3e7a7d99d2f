"""A local model through transformers: a tiny random one, whose every number can be computed another way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.fake_backend import pool_of

from ds2.base.errors import MissingInput, UserError
from ds2.config import ChatBackend, LlmRaterConfig, RaterRuntime, Reading, ScaleConfig
from ds2.models.chat import Answer, ChatRequest, Place, open_backend
from ds2.models.chat.local.tokenizer import answer_tokens
from ds2.rating import by_model
from ds2.rating.prompt import answer_form

TEXTS = ["short", "a question of some length, to make the rows of a batch differ", "x" * 90]


@pytest.fixture
def config(tiny_model: Path) -> LlmRaterConfig:
    return LlmRaterConfig(
        name="tiny",
        backend=ChatBackend.transformers,
        model=str(tiny_model),
        temperature=0.0,
        max_new_tokens=12,
        max_prompt_tokens=4000,
        retries=0,
        max_unrated=1.0,
        runtime=RaterRuntime(batch_size=2),
    )


def ask(config: LlmRaterConfig, tmp_path: Path, texts: list[str] = TEXTS, seed: int = 0) -> dict[str, Answer]:
    requests = [ChatRequest(text, ({"role": "user", "content": text},), seed) for text in texts]
    with open_backend(config, answer_form(config.reading), None, Place(tmp_path)) as backend:
        return {answer.key: answer for answer in backend.answers(requests)}


def test_an_answer_does_not_depend_on_the_others_in_its_batch(config, tmp_path):
    together = ask(config, tmp_path)
    alone = ask(replace(config, runtime=RaterRuntime(batch_size=1)), tmp_path)
    assert list(together) == TEXTS
    assert {key: answer.text for key, answer in together.items()} == {
        key: answer.text for key, answer in alone.items()
    }
    assert together["short"].prompt_tokens == len("short") + 2  # bytes, and the plain template's empty line
    assert together["short"].completion_tokens <= 12


def test_sampling_follows_its_seed(config, tmp_path):
    warm = replace(config, temperature=1.2, top_p=0.9, top_k=50)
    first, again, other = (ask(warm, tmp_path, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_expected_reading_is_the_softmax_over_the_digits(config, tmp_path, tiny_model):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    answers = ask(replace(config, reading=Reading.expected), tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    for text, answer in answers.items():
        with torch.inference_mode():
            logits = model(**tokenizer(f"{text}\n\n", return_tensors="pt")).logits[0, -1]
        shares = logits[[tokenizer.get_vocab()[str(d)] for d in range(1, 10)]].softmax(0).numpy()
        np.testing.assert_allclose(answer.distribution, shares, atol=1e-5)
        assert answer.text == str(1 + shares.argmax())


def test_a_pool_gets_expected_ratings_and_their_distribution(config, tmp_path, tiny_model):
    rated = by_model.rate(
        replace(config, reading=Reading.expected), pool_of(TEXTS), ScaleConfig(), model={"content": "x"},
        revision=None,
        folder=tmp_path, progress=False,
    )  # fmt: skip
    assert rated.details is not None
    assert rated.details.distribution is not None
    np.testing.assert_allclose(rated.details.distribution.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(rated.ratings, rated.details.distribution @ np.arange(1, 10), atol=1e-5)


def test_four_bit_weights_answer_too(config, tmp_path):
    pytest.importorskip("bitsandbytes")
    answers = ask(replace(config, quantization="bitsandbytes_4bit"), tmp_path)
    assert len(answers) == len(TEXTS)


def test_what_cannot_be_loaded_is_one_clear_line(config, tmp_path):
    with pytest.raises(UserError, match=r"rater\.quantization=fp3 is unknown"):
        ask(replace(config, quantization="fp3"), tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingInput, match=r"rater\.model=.*cannot be loaded") as caught:
        ask(replace(config, model=str(tmp_path / "empty")), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_question_longer_than_the_model_s_context_is_refused_before_it_is_asked(config, tmp_path):
    with pytest.raises(UserError, match=r"rater\.max_prompt_tokens=4090 .* more than the 4096 tokens"):
        ask(replace(config, max_prompt_tokens=4090), tmp_path)


def test_whoever_reads_the_answers_is_not_in_inference_mode(config, tmp_path):
    import torch

    request = ChatRequest("k", ({"role": "user", "content": "x"},))
    with open_backend(config, answer_form(config.reading), None, Place(tmp_path)) as backend:
        for _ in backend.answers([request]):
            assert not torch.is_inference_mode_enabled()


def test_too_little_memory_names_the_setting_to_lower(config, tmp_path, monkeypatch):
    import torch
    from transformers import LlamaForCausalLM

    def generate(self, **options):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(LlamaForCausalLM, "generate", generate)
    with pytest.raises(UserError, match=r"lower rater\.runtime\.batch_size=2"):
        ask(config, tmp_path)


def test_a_tokenizer_without_digits_is_refused():
    class Letters:
        def get_vocab(self):
            return {"a": 0, "▁1": 1}

    with pytest.raises(UserError, match="has no token for 2, 3, 4, 5, 6, 7, 8, 9; use rater.reading=answer"):
        answer_tokens(Letters(), answer_form(Reading.expected), "letters")
