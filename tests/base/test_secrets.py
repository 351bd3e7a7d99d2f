"""Secrets in what a person types: found by name and by the shape of an address, masked in what is written."""

from __future__ import annotations

import pytest

from ds2.base.secrets import holds_password, masked, secret_option


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("+rater.api_key=sk-1", "+rater.api_key=***"),
        ("rater.openai_api_key=sk-1", "rater.openai_api_key=***"),
        ("++tracking.password='a b'", "++tracking.password=***"),
        ("+hf_token=hf_1", "+hf_token=***"),
        ("rater.base_url=http://user:pa55@host/v1", "rater.base_url=http://***@host/v1"),
        ("rater.base_url=https://host/v1?key=pa55&x=1", "rater.base_url=https://host/v1?key=***&x=1"),
        ("no server at http://user:pa55@host:80/v1", "no server at http://***@host:80/v1"),
    ],
)
def test_a_secret_is_told_and_masked(typed, written):
    assert masked(typed) == written
    assert (secret_option(typed) is not None) != holds_password(typed)


@pytest.mark.parametrize(
    "typed",
    [
        "rater.max_new_tokens=64", "rater.key=gpt", "embedder.by=token", "pool.path=hf://name@main",
        "pool.path=hf://ORG/NAME@main/CONFIG", "rater.base_url=http://127.0.0.1:8000/v1", "seed=1,2",
        "pool.path=a@b.jsonl", "rater.api_key=",
    ],
)  # fmt: skip
def test_what_holds_no_secret_stays_as_it_is(typed):
    assert masked(typed) == typed
    assert secret_option(typed) is None
    assert not holds_password(typed)
