"""A run whose budget is one of tokens: what training then sees is what was counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds2.artifacts import adapter
from ds2.artifacts.page import html
from ds2.base.errors import UserError
from ds2.cli import main as cli
from ds2.config.compose import compose
from ds2.config.stages import choices, run_name
from ds2.report.choices import in_words
from ds2.runs.chain import Chain

FIXED = [
    "model=tiny",
    "finetune=tiny",
    "finetune.max_steps=1",
    "eval=none",
    "tracking=none",
    "pool.samples=60",
]


def test_two_budgets_are_one_clear_line() -> None:
    with pytest.raises(UserError, match=r"budget\.samples=5 and budget\.tokens=20k: a run has one budget"):
        compose(["budget.samples=5", "budget.tokens=20k"])
    assert compose(["budget.samples=5", "budget.tokens=null"]).budget.samples == 5


def test_training_sees_the_tokens_that_were_counted(tmp_path: Path) -> None:
    store = f"paths.artifacts={tmp_path}"
    chosen = [
        *FIXED,
        store,
        "selection=random",
        "budget.tokens=0.3k",
        "runtime.progress=false",
    ]
    config = compose(chosen)
    assert in_words(choices(config))["budget"] == "300 tokens"
    assert "300_tokens" in run_name(config)
    run = Chain(compose([*chosen, "until=select"])).run()
    counted = run.stages["select"].record["counts"]
    assert 0 < counted["tokens"] <= 300
    batches = [f"finetune.{name}={counted['selected']}" for name in ("total_batch", "runtime.device_batch")]
    longer = Chain(compose([*chosen, *batches, "until=finetune"])).run()
    trained = adapter.read_metrics(longer.stages["finetune"].path)
    assert trained["samples"] == counted["selected"]
    assert trained["trained_tokens"] == counted["tokens"]  # one step of all samples


def test_a_budget_has_one_name_and_one_run_however_it_is_written(tmp_path: Path) -> None:
    chosen = [*FIXED, f"paths.artifacts={tmp_path}", "selection=random"]
    written = ["20k", "20K", "20000", "2e4", "0.02M", "'20 k'"]
    chains = [Chain(compose([*chosen, f"budget.tokens={each}"])) for each in written]
    assert len({chain.fingerprint for chain in chains}) == 1
    assert {run_name(chain.config) for chain in chains} == {"mini-random-20k_tokens-tiny-s42"}


def test_the_budget_of_tokens_is_identity_with_what_counts_them(tmp_path: Path) -> None:
    chosen = [*FIXED, f"paths.artifacts={tmp_path}", "selection=random", "until=select"]

    def fingerprint(*more: str) -> str:
        return Chain(compose([*chosen, *more])).fingerprint

    plain, some = fingerprint(), fingerprint("budget.tokens=300")
    assert fingerprint("budget.tokens=0.3k") == some == fingerprint("budget.tokens=300", "budget=1k")
    others = [fingerprint("budget.tokens=300", other) for other in ("finetune.max_tokens=9", "model.seed=1")]
    assert len({plain, some, *others}) == 4
    assert fingerprint("finetune.max_tokens=9") == plain


def test_a_budget_beyond_the_pool_is_a_warning_in_the_record_and_a_word_at_the_end(
    tmp_path: Path, capsys
) -> None:
    chosen = [*FIXED, f"paths.artifacts={tmp_path}", "selection=random", "budget.tokens=5M", "until=select"]
    assert cli.run([*chosen, "runtime.progress=false"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "warning select: budget.tokens=5000000 is more than the pool's 60 samples take" in said
    assert "This selection leaves a part of its budget" in said
    chain = Chain(compose(chosen))
    run = chain.run()
    counts = run.stages["select"].record["counts"]
    assert counts["selected"] == 60
    assert counts["budget_used"] == counts["tokens"] / 5_000_000
    page = html(chain.report().path).read_text(encoding="utf-8")
    assert "is more than the pool&#39;s 60 samples take" in page
    assert cli.run([*chosen, "runtime.progress=false", "on_warning=fail"]) == 2
