"""Selection in the chain: only what is needed is computed, and the fingerprint holds what the result
depends on.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hydra.errors import HydraException

from ds2.artifacts.curation import RaterErrors, read_curation
from ds2.artifacts.ratings import read_ratings
from ds2.artifacts.subset import read_subset
from ds2.base.errors import UserError
from ds2.config.compose import compose
from ds2.config.hydra_errors import explain
from ds2.runs.chain import Chain


@pytest.fixture
def chain(planted_pool: Path):
    def built(*overrides: str) -> Chain:
        fixed = ["pool=jsonl", f"pool.path={planted_pool}", "finetune=none", "eval=none", "model=tiny",
                 "tracking=none", "until=select", "budget.samples=20", "runtime.progress=false",
                 f"paths.artifacts={planted_pool.parent / 'artifacts'}"]  # fmt: skip
        return Chain(compose([*fixed, *overrides]))

    return built


def stages(chain: Chain) -> list[str]:
    return [step.stage for step in chain.steps]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["selection=random"], ["select"]),
        (["selection=random", "selection.filter.near_duplicates=0.9"], ["embed", "knn", "select"]),
        (["selection=length"], ["select"]),
        (["selection=knn"], ["embed", "knn", "select"]),
        (["selection=facility_location"], ["embed", "knn", "select"]),
        (["selection=alpagasus"], ["rate", "select"]),
        (["selection=deita"], ["rate", "embed", "knn", "select"]),
        (["selection=alpagasus_curated"], ["rate", "embed", "knn", "curate", "select"]),
        (["selection=deita_curated"], ["rate", "embed", "knn", "curate", "select"]),
        (["selection=ds2"], ["rate", "embed", "knn", "curate", "select"]),
    ],
)
def test_the_chain_holds_what_the_strategy_needs_and_no_more(chain, overrides, expected):
    assert stages(chain(*overrides)) == expected


@pytest.mark.parametrize(
    "change",
    [
        "selection.filter.source_cap=0.5",
        "selection.filter.source_quota=[{source:s0,samples:4}]",
        "selection.filter.near_duplicates=0.9",
        "selection.length_partialled=true",
        "selection.score=given",
    ],
)
def test_every_option_is_identity(chain, change):
    assert chain("selection=ds2").fingerprint != chain("selection=ds2", change).fingerprint


def test_an_option_at_its_default_changes_no_fingerprint(chain):
    plain = chain("selection=ds2").steps[-1].identity
    assert plain == {"strategy": "ds2", "score": "curated", "diversity": True, "budget": 20.0}


@pytest.mark.parametrize(
    "override",
    ["selection.score=given", "selection.diversity=false", "selection.threshold=4", "selection.filter.cap=3"],
)
def test_another_strategy_s_field_is_refused(chain, override):
    with pytest.raises(HydraException) as caught:
        chain("selection=random", override)
    assert f"{override.split('=')[0]}: no such key" in explain(caught.value)


def test_a_quota_reaches_the_subset_on_disk(chain):
    run = chain(
        "selection=random", "selection.filter.source_quota=[{source:s0,samples:5},{source:s1,samples:0.1}]"
    ).run()
    table = read_subset(run.stages["select"].path)
    assert table["source"].value_counts().to_dict() == {"s2": 13, "s0": 5, "s1": 2}


def test_a_threshold_takes_the_budget_out_of_name_and_fingerprint(chain):
    one, other = (
        chain("selection=alpagasus", "selection.threshold=4", f"budget.samples={n}") for n in (5, 9)
    )
    assert one.fingerprint == other.fingerprint
    assert one.name == f"planted-simulated_gpt_4o_mini-alpagasus-{one.fingerprint[:6]}" == other.name


def test_a_strategy_without_a_curation_still_writes_the_scores_it_ranked_by(chain):
    run = chain("selection=alpagasus", "rater=truth").run()
    table = read_subset(run.stages["select"].path)
    assert (table["score"] == 5).all()
    assert (table["value"] == 5).all()
    assert table["curated"].isna().all()


def rated_by_three(pool: Path) -> Path:
    """The planted pool with three simulated raters of accuracy 0.5 in `r.a`, `r.b`, `r.c`; some are
    missing.
    """
    rng = np.random.default_rng(0)
    rows = [json.loads(line) for line in pool.open()]
    for row in rows:
        row["r"] = {
            name: int(row["true_score"]) if rng.random() < 0.5 else int(rng.integers(6)) for name in "abc"
        }
    rows[0]["r"] = {}
    rows[1]["r"]["b"] = None
    pool.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return pool


def test_several_raters_are_fused_and_beat_each_alone(planted_pool, chain):
    rated_by_three(planted_pool)
    truth = np.array([json.loads(line)["true_score"] for line in planted_pool.open()])

    def error(*overrides: str) -> float:
        run = chain("until=curate", "curation=posterior", *overrides).run()
        table = read_curation(run.stages["curate"].path)
        return float(np.abs(table["posterior_mean"] - truth).mean())

    fused = error("rater=several", "rater.columns=[r.a,r.b,r.c]")
    assert fused < min(error("rater=from_column", f"rater.column=r.{name}") for name in "abc")


def test_the_multi_rater_selection_runs_the_chain(planted_pool, chain):
    rated_by_three(planted_pool)
    run = chain("selection=multi_rater", "rater.columns=[r.a,r.b,r.c]").run()
    table = read_subset(run.stages["select"].path)
    truth = {row["id"]: row["true_score"] for row in map(json.loads, planted_pool.open())}
    assert np.mean([truth[i] for i in table["id"]]) > 4.5
    ratings = read_ratings(run.stages["rate"].path)
    assert ratings.loc[0, "score"] == -1
    first = [v for v in ratings.loc[1, ["score_0", "score_1", "score_2"]] if v >= 0]
    assert len(first) == 2
    assert ratings.loc[1, "score"] == min(first)
    errors = RaterErrors.read(run.stages["curate"].path)
    assert errors.transition is None
    assert np.shape(errors.transitions) == (3, 6, 6)


def test_several_raters_under_a_curation_of_one_are_refused(planted_pool, chain):
    rated_by_three(planted_pool)
    with pytest.raises(UserError, match="curation=rank takes one rater, and rater=several gives"):
        chain("selection=ds2", "rater=several", "rater.columns=[r.a,r.b]").run()
    with pytest.raises(UserError, match=r"rater\.columns must name at least two different columns"):
        chain("selection=alpagasus", "rater=several", "rater.columns=[r.a,r.a]").run()
