"""Secrets in what a person types: found by name and by the shape of an address, masked in what is written."""

from __future__ import annotations

import time

import pytest

from ds2.base.secrets import holds_secret, masked, secret_option, secrets_in, variables_in


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
        ("paths.store=//user:pa55@host:1/v1", "paths.store=//***@host:1/v1"),
        ("paths.store=s3:\\\\user:pa55@host/v1", "paths.store=s3:\\\\***@host/v1"),
        ('x="http://user:pa\'55@host/v1"', 'x="http://***@host/v1"'),
        ("x='http://user:pa\\'55@host/v1'", "x='http://***@host/v1'"),
        ("x=http://pa'55@host/v1", "x=http://***@host/v1"),
        ("x=user:pa55@127.0.0.1:1/v1", "x=***@127.0.0.1:1/v1"),
        ("pool.path=[a,'user:pa55@host.org/x.jsonl']", "pool.path=[a,'***@host.org/x.jsonl']"),
        ("rater.base_url=user:pa55@gpu", "rater.base_url=***@gpu"),
        ("rater.base_url=http:/user:pa55@gpu", "rater.base_url=***@gpu"),
        ("x=http://user:99/pa55@host/v1", "x=http://***@host/v1"),
        ("x=http://127.0.0.1:1/v1#key=pa55", "x=http://127.0.0.1:1/v1#***"),
        ("x=127.0.0.1:1/v1?key=pa55", "x=127.0.0.1:1/v1?***"),
        ("no server at user:pa55@host:1/v1", "no server at ***@host:1/v1"),
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
        "embedder.by=${oc.env:BY,token}", "rater.model=llama3:8b@sha256:abcdef", "rater.model=org/m:tag@v1.0",
        "rater.base_url=http://gpu:8000/v1/llama@main", "rater.base_url=http://gpu.org:8000/v1/llama@main/2",
        "pool.path=a:b@c.jsonl", "pool.path=C:/me@work/x.jsonl", "tracking.uri=/home/me@work/mlruns",
        "rater.base_url=https://host/v1#part", "pool.path=data/year=2024/part-?.jsonl", "pool.path=a#b.jsonl",
        "x=git@github.com:org/repo.git", "rater.name=deadbeefdeadbeef",
        "paths.artifacts=/tmp/a:me@host.org/x",
        "12:30:45 me@host.org said", "write to mailto:me@host.org", "engine.address=10.0.0.1:6379",
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


@pytest.mark.parametrize(
    "text",
    ["${oc.env:'HF_TOKEN'}", '${oc.env:"MY_SECRET_TOKEN"}', "x${oc.env: ${oc.decode:'OPENAI_API_KEY'}}"],
)
def test_a_secret_variable_that_is_looked_up_is_told_however_its_name_is_written(text):
    assert holds_secret(text)


@pytest.mark.parametrize(
    "value", ["http://me:my pa\"55, it's@host/v1", "https://my key@host", " s3://K:a b@x"]
)
def test_a_password_of_a_whole_value_may_hold_anything(value):
    assert list(secrets_in({"a": {"b": value}})) == ["a.b"]


def test_the_value_of_a_secret_variable_is_known_again(monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "pa55-pa55\n")
    monkeypatch.setenv("HF_TOKEN", "short")
    monkeypatch.setenv("HOME_OF_ALL", "in-the-open")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path))
    values = {"a": [{"b": "x pa55-pa55 y"}], "c": f"short, in-the-open, {tmp_path}", "d": {"pa55-pa55": 1}}
    assert list(variables_in(values)) == [("a.b", "OPENAI_API_KEY"), ("d.pa55-pa55", "OPENAI_API_KEY")]
    assert masked("+foo=pa55-pa55") == "+foo=***"
    assert masked(f"x={tmp_path}") == f"x={tmp_path}"


def test_long_texts_are_read_in_a_moment():
    began = time.monotonic()
    texts = (
        "a" * 200_000, "a_" * 100_000, "://" * 50_000, "http://a:" * 5_000, "{token:" * 5_000, "=a-" * 70_000,
        "a:b@" * 50_000, "http://a:9/" * 5_000, "url=" * 50_000, "a.b" * 70_000, "'a'" * 70_000,
        ",a:b" * 10_000,
    )  # fmt: skip
    for text in texts:
        masked(text)
    assert time.monotonic() - began < 5
