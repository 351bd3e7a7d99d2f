"""The experiments on released scores: planted counts and gaps, the real files where they are, one line where
they are not.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers.evaluated import evaluated
from helpers.planted import planted_rows

from ds2.base.errors import MissingInput, UserError
from ds2.config.compose import compose
from ds2.config.sweep import load_sweep
from ds2.method.agreement import quadratic_kappa
from ds2.report import figures as plots
from ds2.report.table import ResultTable
from experiments import (
    clusterability,
    experiment,
    output,
    published,
    rater_gap,
    released_subset,
    score_distributions,
    transition_matrices,
)
from experiments.agreement import kappa, spread_shares
from experiments.real_data import METHODS, RATERS, ReleasedScores, Slice, curated_slice, released_scores
from experiments.result import Options

NO_CELLS = pd.DataFrame(columns=["method", "rater", "budget", "average_mean"])
FROM_THE_SLICE = ["transition_matrices", "clusterability", "rater_gap", "selection_stability"]


@pytest.fixture(scope="module")
def few() -> ReleasedScores:
    """1,200 samples of five sources, three raters."""
    rng = np.random.default_rng(0)
    names = ["flan_v2", "oasst1", "wizardlm", "dolly", "stanford_alpaca"]
    scores = {rater: rng.integers(0, 6, 1200) for rater in RATERS}
    return ReleasedScores(scores, rng.integers(0, 5, 1200), names)


def test_counts_by_rater_and_by_source_are_whole(few):
    by_rater, by_source = score_distributions.count_by_rater(few), score_distributions.count_by_source(few)
    assert by_rater.groupby("rater")["ours"].sum().eq(1200).all()
    assert (
        by_source.groupby(["rater", "score"])["ours"]
        .sum()
        .equals(by_rater.set_index(["rater", "score"])["ours"])
    )
    pool = score_distributions.pool_table(few).set_index("source")
    assert pool.loc["all", "ours"] == 1200
    assert pool.loc["all", "published"] == 300_932


def test_a_rater_without_published_counts_by_source_has_none(few):
    by_source = score_distributions.count_by_source(few)
    assert by_source.loc[by_source["rater"] != "gpt_4o_mini", "published"].isna().all()
    assert by_source.loc[by_source["rater"] == "gpt_4o_mini", "published"].sum() == 300_932


def test_our_counts_of_the_real_scores_are_the_published_ones(shared_data):
    released = released_scores(shared_data)
    by_rater = score_distributions.count_by_rater(released)
    assert (by_rater["ours"] == by_rater["published"]).all()
    by_source = score_distributions.count_by_source(released).dropna()
    assert len(by_source) == 30
    assert (by_source["ours"] == by_source["published"]).all()
    pool = score_distributions.pool_table(released)
    assert (pool["ours"] == pool["published"]).all()


def test_gaps_of_planted_neighbours():
    scores = np.array([0, 0, 0, 5, 3, 2])
    pairs = np.array([[1, 2], [0, 2], [0, 3], [4, 5], [5, 3], [0, 1]])
    shares = clusterability.gap_shares(scores, pairs)
    gaps = np.repeat(clusterability.GAPS, np.round(shares * 6).astype(int))
    np.testing.assert_allclose(np.sort([0, 0, 2.5, 2.5, 0.5, 2]), gaps)
    assert shares.sum() == pytest.approx(1)


def test_shuffled_scores_know_nothing_of_their_neighbours():
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(400), 3)
    scores = rng.integers(0, 6, 400)[cluster]  # neighbours always agree
    pairs = np.stack([np.roll(np.arange(1200).reshape(-1, 3), -shift, axis=1).ravel() for shift in (1, 2)], 1)
    assert clusterability.gap_shares(scores, pairs)[0] == 1
    chance = clusterability.shuffled_shares(scores, pairs, shuffles=30)
    assert chance.shape == (30, 11)
    assert chance[:, 0].max() < 0.2
    np.testing.assert_allclose(chance.sum(axis=1), 1)


def test_kappa_lies_in_its_interval_and_is_the_library_s():
    rng = np.random.default_rng(2)
    a = rng.integers(0, 6, 3000)
    b = np.clip(a + rng.integers(-1, 2, 3000), 0, 5)
    agreement = kappa(a, b, 6)
    assert agreement.value == quadratic_kappa(a, b, 6)
    assert agreement.low < agreement.value < agreement.high
    assert 0.001 < agreement.high - agreement.low < 0.03
    assert kappa(a, a, 6).value == 1


def test_spread_is_the_highest_minus_the_lowest_score():
    scores = {"a": np.array([0, 1, 5, 2]), "b": np.array([0, 3, 0, 2]), "c": np.array([0, 2, 3, 3])}
    np.testing.assert_allclose(spread_shares(scores, 6), [0.25, 0.25, 0.25, 0, 0, 0.25])


def test_the_real_raters_agree_as_weakly_as_was_measured_before(shared_data):
    kappas = rater_gap.kappa_table({"released": released_scores(shared_data).scores})
    assert kappas["kappa"].round(2).tolist() == [0.25, 0.33, 0.20]


def test_shuffling_within_sources_leaves_only_what_sources_tell(few):
    source = few.source
    scores = {rater: np.where(source < 3, source, 5).astype(np.int64) for rater in RATERS}
    scores["mistral_7b"] = np.random.default_rng(3).integers(0, 6, 1200)
    shuffled = rater_gap.shuffled_within_sources(replace(few, scores=scores))
    for rater in RATERS:
        for group in range(5):
            before, after = scores[rater][source == group], shuffled[rater][source == group]
            assert sorted(before) == sorted(after)
    assert (shuffled["gpt_4o_mini"] == scores["gpt_4o_mini"]).all()  # a score a source: nothing else to tell
    assert (shuffled["mistral_7b"] != scores["mistral_7b"]).mean() > 0.5


def test_published_gaps_are_a_row_a_budget_and_way():
    table = rater_gap.gap_table(NO_CELLS).pivot(index="budget", columns="curation", values="published")
    assert table.loc[5000].to_dict() == {"without": 3.83, "with": 1.2}


def test_our_gap_of_the_published_scaling_is_the_published_gap():
    """Figure 7 follows from Figure 5: the same function serves our cells."""
    table = rater_gap.gap_table(published.read("data_scaling"))
    np.testing.assert_allclose(table["ours"], table["published"], atol=0.011)


def test_a_budget_that_a_rater_lacks_has_no_gap():
    cells = published.read("data_scaling")
    lacking = cells[~((cells["rater"] == "mistral_7b") & (cells["budget"] == 5000))]
    ours = rater_gap.gap_table(lacking).set_index("budget")["ours"]
    assert ours[5000].isna().all()
    assert ours[10000].notna().all()
    assert rater_gap.gap_table(NO_CELLS)["ours"].isna().all()


def test_our_gap_is_read_from_the_runs_of_data_scaling(tmp_path):
    """Planted evaluations in the sweep's own configurations: raters 61, 63 and 64 points apart with curation,
    none without.
    """
    planted = {"gpt_4o_mini": 0.61, "llama_3_1_8b": 0.63, "mistral_7b_v0_3": 0.64}
    runs = []
    for overrides in load_sweep("data_scaling").runs():
        if "budget=5k" in overrides and "selection=ds2" in overrides:
            config = compose(overrides)
            value = planted[config.rater.name] + 0.001 * (config.seed - 43)
            run = evaluated(tmp_path, {"mmlu": value}, seed=len(runs))
            runs.append(replace(run, config=config, fingerprint=f"{len(runs):016x}"))
    assert len(runs) == 9
    cells = rater_gap.own_averages(ResultTable(runs))
    assert set(cells["rater"]) == set(RATERS)
    table = rater_gap.gap_table(cells).set_index(["curation", "budget"])["ours"]
    assert table["with", 5000] == pytest.approx(3.0)
    assert table.notna().sum() == 1


def test_distance_of_an_estimate_from_the_published_matrix():
    published = {r: plots_matrix(i) for i, r in enumerate(RATERS)}
    matrices = {(r, m): published[r] for r in RATERS for m in [*METHODS, "published"]}
    table = transition_matrices.compare(matrices)
    assert (table[["row_error", "largest"]] < 1e-12).all(axis=None)
    assert (table["same_mode"] == 6).all()
    matrices["mistral_7b", "rank"] = np.roll(published["mistral_7b"], 1, axis=1)
    worse = transition_matrices.compare(matrices).set_index(["rater", "method"]).loc[("mistral_7b", "rank")]
    assert worse["same_mode"] == 0
    assert worse["row_error"] > 1
    assert len(transition_matrices.entries(matrices)) == 3 * 36


def plots_matrix(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).random((6, 6))
    return 0.7 * np.eye(6) + 0.3 * noise / noise.sum(axis=1, keepdims=True)


def test_a_grid_of_matrices_has_one_panel_each_and_refuses_a_ragged_one():
    figure = plots.transition_grid(
        {"a": {"x": np.eye(3), "y": np.eye(3)}, "b": {"x": np.eye(3), "y": np.eye(3)}}
    )
    assert len(figure.axes) == 4
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["x", "y"]
    with pytest.raises(UserError, match="the same columns"):
        plots.transition_grid({"a": {"x": np.eye(3)}, "b": {"y": np.eye(3)}})


@pytest.mark.parametrize("name", ["score_distributions", *FROM_THE_SLICE])
def test_absent_data_is_one_line_that_names_the_option(name, tmp_path):
    with pytest.raises(
        MissingInput, match=r"give paths\.data \(or DS2_DATA\), the folder that holds (scores|pools)/"
    ):
        experiment(name).run(Options([f"paths.data={tmp_path}"]))


@pytest.mark.parametrize("name", ["score_distributions", *FROM_THE_SLICE])
def test_what_would_have_no_effect_or_change_the_experiment_is_refused(name):
    for options, line in (
        (Options(["curation=none"]), f"{name} does not take curation=none; it takes overrides of paths"),
        (Options(["seed=3"]), f"{name} does not take seed=3"),
        (Options(mini=True), f"{name} reads real scores and has no miniature"),
    ):
        with pytest.raises(UserError, match=line):
            experiment(name).run(options)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Options:
    """A folder of data like the real one, with 240 planted samples."""
    data = tmp_path_factory.mktemp("data")
    (data / "scores").mkdir()
    (data / "pools").mkdir()
    rng = np.random.default_rng(0)
    rows = planted_rows(240, 6)
    for row in rows:
        near = np.clip(row["true_score"] + rng.integers(-1, 2, 3), 0, 5)
        row["scores"] = dict(zip(RATERS, near.tolist(), strict=True))
    with gzip.open(data / "pools" / "ds2_67k.jsonl.gz", "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
    scores = {rater: np.array([row["scores"][rater] for row in rows], dtype=np.uint8) for rater in RATERS}
    names = np.array(["flan_v2", "oasst1", "wizardlm", "dolly", "stanford_alpaca"])
    source = rng.integers(0, 5, 240).astype(np.uint8)
    np.savez(data / "scores" / "released_scores.npz", source=source, source_names=names, **scores)
    return Options(
        [f"paths.data={data}", f"paths.artifacts={data / 'artifacts'}", "runtime.progress=false"],
        say=lambda line: None,
    )


@pytest.fixture(scope="module")
def planted(small) -> Slice:
    """The planted samples curated for every rater in every way, with few resamples."""
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for method in ("rank", "posterior"):
            patch.setitem(METHODS, method, [f"curation={method}", "curation.bootstrap=2"])
        pool = curated_slice(replace(small, say=said.append), "clusterability")
    assert len(said) == len(pool.runs) == 9
    assert "embed" in said[0]
    assert not any("embed" in line for line in said[1:])  # paid for once
    return pool


@pytest.mark.parametrize("name", FROM_THE_SLICE)
def test_every_experiment_on_the_slice_gives_tables_and_captioned_figures(
    name, small, planted, tmp_path, monkeypatch
):
    module = experiment(name)
    monkeypatch.setattr(module, "curated_slice", lambda options, name: planted)
    result = module.run(small)
    assert result.caption.count("N = 240") == 1
    assert "not comparable cell by cell with the published 300k" in result.caption
    assert result.complete is (name != "rater_gap")  # our gap takes fine-tunes
    assert all(len(table.frame) for table in result.tables)
    output.write(result, tmp_path)
    assert list(result.figures) == [name]
    assert "N = 240" in (tmp_path / f"{name}.svg").read_text(encoding="utf-8")


def test_counts_that_differ_from_the_published_are_called_so(small):
    paths = [override for override in small.overrides if override.startswith("paths.")]
    result = experiment("score_distributions").run(Options(paths))
    assert list(result.figures) == ["score_distributions", "scores_by_source"]
    assert "they are NOT" in result.caption  # 240 planted samples are not the published 300,932


def test_subsets_are_compared_by_what_their_conversations_say():
    def say(text: str) -> released_subset.Conversation:
        return (("user", text), ("assistant", "yes"))

    shared = released_subset.overlap([say("a"), say("b "), say("c")], [say("b"), say("d")])
    assert (shared.ours, shared.theirs, shared.shared) == (3, 2, 1)


def test_without_the_hub_the_overlap_is_not_checked(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    scores = tmp_path / "scores" / "released_scores.npz"
    scores.parent.mkdir()
    np.savez(scores, gpt_4o_mini=np.zeros(3, dtype=np.uint8))
    said = released_subset.compare_with_released(tmp_path, str(tmp_path / "artifacts"))
    assert isinstance(said, str)
    assert said.startswith("not checked: dataset jlpang888/cured_dataset_gpt_4o_mini")
