"""The chain on a planted pool: what is computed, what is reused, and what comes out."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.planted import planted_rows

from ds2.artifacts.curation import RaterErrors, read_curation, read_uncertainty
from ds2.artifacts.remote import RemoteStore
from ds2.artifacts.step import Status
from ds2.artifacts.subset import read_report, read_subset
from ds2.base.errors import DamagedArtifact, UserError
from ds2.config import RunConfig
from ds2.config.compose import compose
from ds2.config.stages import run_name, slug_of
from ds2.method.price import BoughtBy
from ds2.report import facts
from ds2.runs.chain import Chain

STAGES = ["rate", "embed", "knn", "curate", "select"]


def config_for(pool: Path, *overrides: str) -> RunConfig:
    store = pool.parent / "artifacts"
    fixed = ["pool=jsonl", f"pool.path={pool}", "finetune=none", "eval=none", "model=tiny",
             "tracking=none", "until=select", "budget.samples=20", "runtime.progress=false",
             f"paths.artifacts={store}"]  # fmt: skip
    papers = [] if any(o.startswith("selection=") for o in overrides) else ["selection=ds2"]
    return compose([*fixed, *papers, *overrides])


def statuses(config: RunConfig) -> dict[str, str]:
    return {name: result.status.value for name, result in Chain(config).run().stages.items()}


def computed(config: RunConfig) -> set[str]:
    return {name for name, status in statuses(config).items() if status == Status.computed.value}


def near_diagonal(levels: int) -> str:
    matrix = np.full((levels, levels), 0.3 / (levels - 1))
    np.fill_diagonal(matrix, 0.7)
    return json.dumps(matrix.round(6).tolist()).replace(" ", "")


def test_a_run_computes_each_stage_once_and_then_reuses_all(planted_pool):
    config = config_for(planted_pool)
    assert statuses(config) == dict.fromkeys(STAGES, "computed")
    assert statuses(config) == dict.fromkeys(STAGES, "reused")


@pytest.mark.parametrize(
    ("change", "recomputed"),
    [
        ("rater=simulated_mistral_7b", {"rate", "curate", "select"}),
        ("budget.samples=30", {"select"}),
        ("seed=7", set()),
        ("selection=ds2_without_diversity", {"select"}),
        ("selection=ds2_posterior", {"curate", "select"}),
        ("embedder.dimensions=16", {"embed", "knn", "curate", "select"}),
        ("knn.k=32", {"knn", "curate", "select"}),
        ("scale.low=3 scale.high=8", {"rate", "curate", "select"}),
        ("pool.name=another", set()),
        ("rater.name=another", set()),
        ("runtime.isolate=true", set()),
    ],
)
def test_a_change_recomputes_what_depends_on_it_and_nothing_else(planted_pool, change, recomputed):
    Chain(config_for(planted_pool)).run()
    assert computed(config_for(planted_pool, *change.split())) == recomputed


def test_moving_the_pool_recomputes_nothing_and_editing_it_everything(planted_pool):
    Chain(config_for(planted_pool)).run()
    moved = planted_pool.rename(planted_pool.with_name("moved.jsonl"))
    assert computed(config_for(moved)) == set()
    lines = moved.read_text().splitlines()
    moved.write_text("\n".join(lines[:-1]))
    assert computed(config_for(moved)) == set(STAGES)


@pytest.mark.parametrize("levels", [4, 10])
def test_the_number_of_score_levels_is_obeyed_by_every_stage(tmp_path, levels):
    pool = tmp_path / "pool.jsonl"
    pool.write_text("".join(json.dumps(row) + "\n" for row in planted_rows(400, levels)))
    config = config_for(
        pool,
        "rater=simulated",
        f"rater.matrix={near_diagonal(levels)}",
        "scale.low=1",
        f"scale.high={levels}",
    )
    for method in ("rank", "posterior"):
        run = Chain(replace(config, curation=compose([f"curation={method}"]).curation)).run()
        table = read_curation(run.stages["curate"].path)
        assert np.shape(RaterErrors.read(run.stages["curate"].path).transition) == (levels, levels)
        assert len(run.stages["rate"].record["counts"]["scores"]) == levels
        assert set(table["score"]) <= set(range(levels))
        assert set(table["curated"]) <= set(range(levels))
        assert table["score"].max() == levels - 1
        subset = read_subset(run.stages["select"].path)
        assert len(subset) == 20
        truth = {row["id"]: row["true_score"] for row in planted_rows(400, levels)}
        assert np.mean([truth[i] for i in subset["id"]]) > 0.8 * (levels - 1)


def test_curation_finds_planted_errors(planted_pool):
    run = Chain(config_for(planted_pool, "rater=simulated", f"rater.matrix={near_diagonal(6)}")).run()
    table = read_curation(run.stages["curate"].path)
    truth = np.array([row["true_score"] for row in planted_rows(240, 6)])
    assert (table["curated"] == truth).mean() > (table["score"] == truth).mean() + 0.1


def test_a_bootstrap_is_kept_beside_the_curation(planted_pool):
    run = Chain(config_for(planted_pool, "curation.bootstrap=3", "until=curate")).run()
    uncertainty = read_uncertainty(run.stages["curate"].path)
    assert uncertainty is not None
    low, high = uncertainty.transition.low, uncertainty.transition.high
    assert low.shape == high.shape == (6, 6)
    assert (low <= high).all()
    assert uncertainty.resamples == 3
    assert all(0 <= overlap <= 1 for overlap in uncertainty.stability)
    assert uncertainty.error_probability.shape == (240,)


def test_the_solver_of_the_transition_matrix_can_be_chosen(planted_pool):
    one, other = (
        Chain(config_for(planted_pool, f"curation.hoc_solver={name}", "until=curate")).run()
        for name in ("adam", "multistart")
    )
    assert one.fingerprint != other.fingerprint
    assert np.shape(RaterErrors.read(other.stages["curate"].path).transition) == (6, 6)


def test_the_subset_holds_whole_conversations_best_first(planted_pool):
    run = Chain(config_for(planted_pool)).run()
    rows = [json.loads(line) for line in (run.stages["select"].path / "subset.jsonl").open()]
    known = {row["id"]: row for row in planted_rows(240, 6)}
    assert [row["rank"] for row in rows] == list(range(20))
    assert all(row["messages"] == known[row["id"]]["messages"] for row in rows)
    order = [(row["curated"], row["long_tail"]) for row in rows]
    assert order == sorted(order, reverse=True)
    assert all(row["reason"] for row in rows)


def test_only_needed_stages_run(planted_pool):
    assert list(statuses(config_for(planted_pool, "selection=random"))) == ["select"]
    assert list(statuses(config_for(planted_pool, "selection=full"))) == ["select"]
    assert list(statuses(config_for(planted_pool, "until=knn"))) == ["embed", "knn"]
    assert list(statuses(config_for(planted_pool, "until=rate"))) == ["rate"]
    base = Chain(config_for(planted_pool, "selection=base", "eval=tiny", "until=report"))
    assert [step.stage for step in base.steps] == ["model", "evaluate", "report"]


def test_the_seed_reaches_random_choices_and_fine_tuning_only(planted_pool):
    def fingerprints(*overrides: str) -> dict[str, str]:
        config = config_for(planted_pool, "finetune=tiny", "until=finetune", *overrides)
        return {step.stage: step.fingerprint for step in Chain(config).steps}

    one, other = fingerprints("seed=1"), fingerprints("seed=2")
    assert {stage for stage in one if one[stage] != other[stage]} == {"finetune"}
    one, other = fingerprints("seed=1", "selection=random"), fingerprints("seed=2", "selection=random")
    assert {stage for stage in one if one[stage] != other[stage]} == {"select", "finetune"}


def test_runtime_settings_do_not_change_a_fingerprint(planted_pool):
    def last(*overrides: str) -> str:
        return Chain(
            config_for(planted_pool, "finetune=tiny", "eval=tiny", "until=evaluate", *overrides)
        ).fingerprint

    runtime = ["finetune.runtime.device_batch=2", "eval.runtime.batch_size=3", "finetune.runtime.threads=1"]
    assert last() == last(*runtime)
    assert last() != last("finetune.total_batch=8")


def test_a_smaller_budget_is_the_head_of_a_larger_one(planted_pool):
    def chosen(budget: int) -> list[str]:
        run = Chain(config_for(planted_pool, f"budget.samples={budget}")).run()
        return read_subset(run.stages["select"].path)["id"].tolist()

    assert chosen(40)[:15] == chosen(15)


def test_a_share_is_a_share_of_the_pool(planted_pool):
    run = Chain(config_for(planted_pool, "budget.samples=0.05")).run()
    assert run.stages["select"].record["counts"]["selected"] == 12


def test_a_budget_over_the_pool_is_refused_before_anything_is_computed(planted_pool):
    config = config_for(planted_pool, "budget.samples=241")
    with pytest.raises(UserError, match="241 is more than the pool's 240 samples"):
        Chain(config).run()
    assert not (planted_pool.parent / "artifacts" / "embed").exists()


def test_unrated_samples_are_never_chosen_on_their_score(planted_pool):
    rows = [json.loads(line) for line in planted_pool.open()]
    for row in rows[:200]:
        row["true_score"] = None
    planted_pool.write_text("".join(json.dumps(row) + "\n" for row in rows))
    overrides = ["rater=truth", "curation=none", "selection=ds2"]
    with pytest.raises(UserError, match="more than the 40 of 240 that have a score"):
        Chain(config_for(planted_pool, *overrides, "budget.samples=50")).run()
    run = Chain(config_for(planted_pool, *overrides)).run()
    subset = read_subset(run.stages["select"].path)
    assert set(subset["id"]) <= {row["id"] for row in rows[200:]}


def test_not_finite_embeddings_are_refused_and_leave_nothing(planted_pool, monkeypatch):
    def broken(texts, **_):
        rows = np.ones((len(texts), 4), dtype=np.float32)
        rows[17, 2] = np.nan
        return rows

    monkeypatch.setattr("ds2.runs.stages.embed.tfidf_svd", broken)
    with pytest.raises(UserError, match="embedding of sample 17 is not finite"):
        Chain(config_for(planted_pool)).run()
    assert list((planted_pool.parent / "artifacts" / "embed").iterdir()) == []


def test_what_is_finished_when_a_stage_fails_is_there_for_others(planted_pool, tmp_path, monkeypatch):
    pytest.importorskip("fsspec")
    push = RemoteStore.push

    def slowly(*given):
        time.sleep(0.3)
        push(*given)

    def broken(texts, **_):
        raise UserError("no embeddings")

    monkeypatch.setattr(RemoteStore, "push", slowly)
    monkeypatch.setattr("ds2.runs.stages.embed.tfidf_svd", broken)
    second = tmp_path / "second"
    with pytest.raises(UserError, match="no embeddings"):
        Chain(config_for(planted_pool, f"paths.store=file://{second}")).run()
    assert len(list(second.glob("rate/*/record.json"))) == 1


def test_a_damaged_input_is_refused_by_name(planted_pool):
    run = Chain(config_for(planted_pool)).run()
    damaged = run.stages["embed"].path / "embeddings.npy"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(bytes(content))
    with pytest.raises(DamagedArtifact, match=r"embeddings\.npy does not match its checksum; delete"):
        Chain(config_for(planted_pool, "budget.samples=30")).run()


@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupt_anywhere_leaves_nothing_and_the_next_run_continues(planted_pool, monkeypatch, stage):
    config = config_for(planted_pool)
    chain = Chain(config)
    step = chain._context.steps[stage]

    def interrupted(folder: Path):
        (folder / "half").write_text("half")
        raise KeyboardInterrupt

    object.__setattr__(step, "compute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        chain.run()
    assert not list((planted_pool.parent / "artifacts").rglob("half"))
    assert computed(config) == set(STAGES[STAGES.index(stage) :])


def test_the_plan_says_what_is_cached(planted_pool):
    Chain(config_for(planted_pool, "until=knn")).run()
    plan = {step.stage: path is not None for step, path in Chain(config_for(planted_pool)).plan()}
    assert plan == {"rate": False, "embed": True, "knn": True, "curate": False, "select": False}


def test_the_name_of_a_run_can_be_read(planted_pool):
    chain = Chain(config_for(planted_pool))
    assert chain.name == f"planted-simulated_gpt_4o_mini-ds2-rank-20-{chain.fingerprint[:6]}"
    assert run_name(config_for(planted_pool, "selection=random")) == "planted-random-20"


def test_a_run_s_name_tells_how_it_was_curated_where_its_selection_does_not(planted_pool):
    choices = ("curation=rank", "curation=posterior", "selection=ds2_posterior", "selection=alpagasus")
    names = [run_name(config_for(planted_pool, choice)).split("-")[2:-1] for choice in choices]
    assert names == [["ds2", "rank"], ["ds2", "posterior"], ["ds2_posterior"], ["alpagasus"]]


@pytest.mark.parametrize(
    "change",
    ["curation.k=5", "knn.k=32", "embedder.dimensions=16", "selection=ds2_posterior", "until=curate"],
)
def test_two_different_runs_never_share_a_name(planted_pool, change):
    one, other = (Chain(config_for(planted_pool, "curation=posterior", *more)) for more in ([], [change]))
    assert one.fingerprint != other.fingerprint
    assert one.name != other.name


def test_the_page_of_a_run_lies_where_it_lay_before_names_told_curations_apart(planted_pool):
    slugs = [
        slug_of(config_for(planted_pool, choice))
        for choice in ("curation=rank", "curation=posterior", "selection=ds2_posterior")
    ]
    assert slugs == [
        f"planted-simulated_gpt_4o_mini-{method}-20" for method in ("ds2", "ds2_posterior", "ds2_posterior")
    ]


def test_the_default_refines_and_says_so(planted_pool):
    config = config_for(planted_pool, "selection=ds2_refined")
    run = Chain(config).run()
    curation = read_curation(run.stages["curate"].path)
    subset = read_subset(run.stages["select"].path)
    top = curation.sort_values("refined", ascending=False, kind="stable")["id"].head(20)
    assert subset["id"].tolist() == top.tolist()
    assert (np.diff(subset["score"]) <= 0).all(), "the given score comes first"
    assert run_name(config) == "planted-simulated_gpt_4o_mini-ds2_refined-20"


def test_another_curation_under_the_default_selection_orders_as_the_paper_does_and_warns(planted_pool):
    refined = Chain(config_for(planted_pool, "selection=ds2_refined", "curation=rank")).run().stages["select"]
    papers = Chain(config_for(planted_pool)).run().stages["select"]
    assert read_subset(refined.path)["id"].tolist() == read_subset(papers.path)["id"].tolist()
    assert "curation=refine gives" in refined.record["warnings"][0]


@pytest.mark.parametrize(
    ("method", "warned"), [("rank", True), ("posterior", True), ("none", False), ("refine", False)]
)
def test_replacing_one_rater_s_scores_warns_with_what_people_say(planted_pool, method, warned):
    run = Chain(config_for(planted_pool, f"curation={method}", "until=curate")).run()
    told = [line for line in run.stages["curate"].record["warnings"] if "people's ratings" in line]
    assert [f"curation={method} of one rater chooses worse" in line for line in told] == [True] * warned


@pytest.mark.parametrize("method", ["rank", "posterior", "none", "refine"])
def test_every_curation_gives_a_verdict_that_says_what_it_cannot_tell(planted_pool, method):
    run = Chain(config_for(planted_pool, f"curation={method}", "until=curate")).run()
    verdict = facts.verdict(run)
    assert verdict is not None
    assert "hundred scores by people" in verdict
    assert verdict.count(". ") <= 3


def test_the_subset_s_report_tells_what_diversity_would_cost(planted_pool):
    folder = Chain(config_for(planted_pool, "selection=ds2_refined")).run().stages["select"].path
    prices = read_report(folder).price
    for way in BoughtBy:
        mine = [price for price in prices if price.by is way]
        assert [price.weight for price in mine] == sorted(price.weight for price in mine)
        assert mine[0].shared == 1
        assert mine[0].quality >= mine[-1].quality
    assert prices[6].variety >= prices[0].variety
    assert prices[-1].cover >= prices[0].cover


def test_a_cover_asked_for_is_reached_or_refused_with_what_can_be(planted_pool):
    asked = ["selection=ds2_refined", "selection.diversity=cover"]
    free = read_report(Chain(config_for(planted_pool, asked[0])).run().stages["select"].path)
    share = (free.worth.cover + free.price[-1].cover) / 2
    run = Chain(config_for(planted_pool, *asked, f"selection.cover={share:.4f}")).run()
    report = read_report(run.stages["select"].path)
    assert report.worth.cover >= share > free.worth.cover
    assert report.worth.quality < free.worth.quality
    reasons = read_subset(run.stages["select"].path, "reason")["reason"]
    assert reasons.str.contains("stands for its neighbourhood").any()
    with pytest.raises(UserError, match="out of reach: 20 samples stand for"):
        Chain(config_for(planted_pool, *asked, "selection.cover=1")).run()
