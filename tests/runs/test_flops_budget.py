"""A run whose budget is one of FLOPs: selecting and training together stay below it, by what records say."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds2.base.errors import UserError
from ds2.config.compose import compose
from ds2.config.stages import choices, run_name
from ds2.report.choices import in_words
from ds2.report.costs import spent
from ds2.report.table import ResultTable
from ds2.runs.chain import Chain

FIXED = [
    "model=tiny", "finetune=tiny", "finetune.max_steps=null", "finetune.epochs=2", "finetune.total_batch=4",
    "finetune.runtime.device_batch=4", "eval=none", "tracking=none", "pool.samples=60",
    "runtime.progress=false",
]  # fmt: skip
MOST = 5e9
"""Two passes over the pool take 7e9."""
EVALUATED = ["eval=tiny", "until=evaluate"]


@pytest.fixture
def chain(tmp_path: Path):
    def built(*overrides: str) -> Chain:
        return Chain(compose([*FIXED, f"paths.artifacts={tmp_path}", f"budget.flops={MOST}", *overrides]))

    return built


@pytest.mark.parametrize("selection", ["random", "perplexity_low", "ds2"])
def test_what_was_spent_stays_below_the_budget_and_comes_near_it(chain, selection: str) -> None:
    run = chain(f"selection={selection}", "rater.flops=1e9", "until=finetune").run()
    counts, paid = run.stages["select"].record["counts"], spent(run)
    assert paid.selection_flops == counts["selecting_flops"]
    assert (paid.selection_flops > 0) == (selection != "random")
    assert paid.all_flops <= MOST
    assert paid.all_flops > 0.9 * MOST  # a step is four samples of 60
    assert run.stages["finetune"].record["compute"]["flops"] == paid.flops <= counts["training_flops"]


def test_the_choice_follows_from_the_artifacts_alone(chain) -> None:
    first = chain("selection=perplexity_low", "until=select").run()
    again = chain("selection=perplexity_low", "until=select")
    (step,) = (step for step in again.steps if step.stage == "select")
    folder = first.stages["select"].path.parent / "again"
    folder.mkdir()
    assert again.recompute(step, folder).counts == first.stages["select"].record["counts"]
    for name in first.stages["select"].record["files"]:
        assert (folder / name).read_bytes() == (first.stages["select"].path / name).read_bytes()


def test_what_a_configuration_states_of_costs_is_identity_of_the_choice_alone(chain) -> None:
    def fingerprints(*more: str) -> dict[str, str]:
        return {step.name: step.fingerprint for step in chain("selection=ds2", "until=select", *more).steps}

    few, many = fingerprints("rater.flops=1e9"), fingerprints("rater.flops=2e9")
    assert {name for name in few if few[name] != many[name]} == {"select"}
    longer = fingerprints("rater.flops=1e9", "finetune.epochs=3")
    assert {name for name in few if few[name] != longer[name]} == {"select"}


def test_the_budget_is_told_as_flops(chain) -> None:
    config = chain("selection=random").config
    assert in_words(choices(config))["budget"] == "5e9 FLOPs"
    assert "5e9_flops" in run_name(config)


def test_a_table_matched_on_flops_shows_samples_tokens_and_flops(chain) -> None:
    runs = [chain(f"selection={name}", *EVALUATED).run() for name in ("random", "perplexity_low")]
    table = ResultTable(runs)
    shown = table.table("t").text
    assert list(shown["method"]) == ["random", "perplexity_low"]
    for run, (_, line) in zip(runs, shown.iterrows(), strict=True):
        paid = spent(run)
        assert line["samples"] == f"{paid.samples:,}"
        assert line["tokens trained"] == f"{paid.tokens:,}"
        assert float(line["FLOPs"]) == pytest.approx(paid.all_flops, rel=0.01)
        assert float(line["FLOPs"]) <= MOST
    assert set(table.summary()["FLOPs"]) == {spent(run).all_flops for run in runs}


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["selection=ds2"], r"nothing tells what the scores of rater=\w+ took: give rater\.flops="),
        (
            ["selection=ds2", "rater=gpt_4o_mini"],
            r"how large the model of rater=gpt_4o_mini is: give rater\.pa",
        ),
        (["selection=random", "finetune.max_steps=5"], r"finetune\.max_steps=null finetune\.epochs=E"),
        (["selection=random", "budget.tokens=3k"], r"two budgets: leave one out"),
        (["selection=random", "budget.flops=-1"], r"budget\.flops=-1 must be a number"),
        (["selection=precomputed", "selection.path=x.npy"], r"give selection\.flops="),
        (["selection=knn", "embedder=server", "embedder.model=m"], r"give embedder\.flops="),
    ],
)
def test_what_cannot_be_counted_is_refused_before_anything_runs(chain, overrides, line) -> None:
    with pytest.raises(UserError, match=line):
        chain(*overrides)


def test_selecting_that_takes_the_whole_budget_is_one_clear_line(chain) -> None:
    with pytest.raises(UserError, match=r"budget\.flops=\S+: selection alone took .*, and nothing is left"):
        chain("selection=ds2", "rater.flops=5e9", "until=select").run()


def test_a_budget_beyond_the_pool_says_how_much_of_it_was_used(chain) -> None:
    select = chain("selection=random", "budget.flops=1e13", "until=select").run().stages["select"].record
    counts, (line,) = select["counts"], select["warnings"]
    assert counts["selected"] == 60
    assert counts["budget_used"] == pytest.approx(counts["training_flops"] / 1e13)
    assert "budget.flops=1e13 is more than the pool's 60 samples take" in line
    assert "not matched" in line
