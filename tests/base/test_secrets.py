"""Secrets in what a person types: found by name and by the shape of an address, masked in what is written."""

from __future__ import annotations

import time

import pytest

from ds2.base.secrets import holds_secret, masked, secret_option, secrets_in


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("+rater.api_key=sk-1", "+rater.api_key=***"),
        ("rater.openai_api_key=sk-1", "rater.openai_api_key=***"),
        ("++tracking.password='a b'", "++tracking.password=***"),
        ("+hf_token=hf_1", "+hf_token=***"),
        ("+hydra.job.env_set.OPENAI_KEY=sk-1", "+hydra.job.env_set.OPENAI_KEY=***"),
    ],
)
def test_an_option_that_names_a_secret_is_told_and_masked(typed, written):
    assert secret_option(typed) == typed.partition("=")[0].lstrip("+")
    assert masked(typed) == written


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("rater.base_url=http://user:pa55@host/v1", "rater.base_url=http://***@host/v1"),
        ("rater.base_url=http://hf_1@host/v1", "rater.base_url=http://***@host/v1"),
        ("rater.base_url=wss://u:pa55@127.0.0.1:9/v1", "rater.base_url=wss://***@127.0.0.1:9/v1"),
        ("rater.base_url=https://host/v1?key=pa55&x=1", "rater.base_url=https://host/v1?***"),
        ("rater.base_url=https://host/v1?sig=pa55", "rater.base_url=https://host/v1?***"),
        ("rater.base_url=https://host/v1?pa55", "rater.base_url=https://host/v1?***"),
        ("no server at http://user:pa55@host:80/v1", "no server at http://***@host:80/v1"),
        ("paths.store=memory://user:pa55@x/y", "paths.store=memory://***@x/y"),
        ("paths.store=s3://AKIA:p/a@5+5=@x/y", "paths.store=s3://***@x/y"),
        ("paths.store=redis://:pa55@x", "paths.store=redis://***@x"),
        ("paths.store=abfs://c@account/x?sv=1&sig=pa55", "paths.store=abfs://c@account/x?***"),
        ("pool.path=simplecache::s3://K:pa55@b/x", "pool.path=simplecache::s3://***@b/x"),
        ("pool.path=[a.jsonl,'s3://K:pa55@b/x']", "pool.path=[a.jsonl,'s3://***@b/x']"),
        ("engine.address=ray://u:pa55@h:1", "engine.address=ray://***@h:1"),
        ("x=['export HF_TOKEN=hf_1',b]", "x=['export HF_TOKEN=***',b]"),
        ("x=[\"export MY_KEY='a b'; run\"]", 'x=["export MY_KEY=***; run"]'),
        ("x={export: 'ALL,HF_TOKEN=hf_1'}", "x={export: 'ALL,HF_TOKEN=***'}"),
        ("+hydra.job.env_set={A: 1, HF_TOKEN: hf_1}", "+hydra.job.env_set={A: 1, HF_TOKEN: ***}"),
        ("+x={a: {'api_key':'a b'}}", "+x={a: {'api_key':***}}"),
        ("error: rater.api_key=sk-1 cannot be read", "error: rater.api_key=*** cannot be read"),
    ],
)
def test_a_secret_within_a_text_is_told_and_masked(typed, written):
    assert secret_option(typed) is None
    assert holds_secret(typed)
    assert masked(typed) == written


@pytest.mark.parametrize(
    "typed",
    [
        "rater.max_new_tokens=64", "rater.key=gpt", "embedder.by=token", "pool.path=hf://name@main",
        "pool.path=hf://ORG/NAME@main/CONFIG", "rater.base_url=http://127.0.0.1:8000/v1", "seed=1,2",
        "pool.path=a@b.jsonl", "rater.api_key=", "paths.store=s3://bucket/path", "pool.path=part-?.jsonl",
        "paths.store=abfs://container@account.dfs.core.windows.net/x", "pool.path=C:\\me@work\\x.jsonl",
        "pool.path=file:///C:/me@work/x", "pool.path=file://C:/me@work/x", "pool.path=s3://b/part-?.jsonl",
        "paths.store=sftp://me@host/x", "pool.path=zip://a.csv::s3://bucket/x@1", "rater.model=org/m@v1",
        "rater.base_url=http://[::1]:8000/v1", "rater.base_url=http://127.0.0.1:8000/v1/m@2",
        "x=[http://a:1,b@c]", 'x=["http://a","b@c"]', "x='is this good? see http://a.b/c?'",
        "hydra.launcher.setup=['export OPENAI_API_KEY=$MINE','module load cuda']",
        "x=[HF_TOKEN]", "OPENAI_API_KEY: not set, or http://a:1 is down", "x={api_key: null}",
        "rater.api_key: no option takes a secret", "tracking.mode=${oc.env:WANDB_MODE,offline}",
    ],
)  # fmt: skip
def test_what_holds_no_secret_stays_as_it_is(typed):
    assert masked(typed) == typed
    assert secret_option(typed) is None
    assert not holds_secret(typed)


def test_secrets_of_nested_values_are_found_by_key_and_by_text():
    values = {
        "a": {"api_key": "x", "token": 5, "password": "", "name": "api_key"},
        "b": [{"c": ["fine", "s3://K:pa55@x"]}],
        "d": "${oc.env:HF_TOKEN,none}",
    }
    assert list(secrets_in(values)) == ["a.api_key", "b.c", "d"]


def test_long_texts_are_read_in_a_moment():
    began = time.monotonic()
    for text in ("a" * 200_000, "a_" * 100_000, "://" * 50_000, "http://a:" * 5_000, "{token:" * 5_000):
        masked(text)
    assert time.monotonic() - began < 5
