"""`curation.anchors=FILE`: what people say judges the run, moves its order, and opens what it says."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from ds2.artifacts.curation import read_asked, read_curation
from ds2.base.errors import UserError
from ds2.config.compose import compose
from ds2.config.stages import key_of
from ds2.report import facts, render
from ds2.report.anchors import anchored, unasked_membership
from ds2.runs.chain import Chain


def chain_for(pool: Path, *overrides: str) -> Chain:
    fixed = ["pool=jsonl", f"pool.path={pool}", "finetune=none", "eval=none", "model=tiny", "tracking=none",
             "until=select", "budget.samples=0.2", "runtime.progress=false",
             f"paths.artifacts={pool.parent / 'artifacts'}"]  # fmt: skip
    return Chain(compose([*fixed, *overrides]))


def anchors_file(source: Path, count=60, name="anchors.csv", **columns) -> Path:
    """The true scores of the first rows; `columns` replace or add cells."""
    rows = [json.loads(line) for line in source.read_text().splitlines()][:count]
    path = source.parent / name
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["id", "score", *columns])
        lines.writerows([row["id"], row["true_score"], *columns.values()] for row in rows)
    return path


def test_people_s_scores_open_the_verdict_and_go_into_the_summary(planted_pool):
    run = chain_for(planted_pool, f"curation.anchors={anchors_file(planted_pool)}").run()
    asked = anchored(run)
    said = facts.verdict(run)
    assert said.startswith("By people, the samples selected would score ")
    assert "By 60 human scores the rater is right" in said
    table = read_curation(run.stages["curate"].path)
    chosen = set(facts.read_subset(run.stages["select"].path, "id")["id"])
    rows = [json.loads(line) for line in planted_pool.read_text().splitlines()]
    mean = np.mean([row["true_score"] for row in rows if row["id"] in chosen])
    assert asked.selected.low <= mean <= asked.selected.high
    assert asked.ends == (0, 5)
    summary = asked.numbers
    assert summary["selected_mean"] == asked.selected.value
    assert {"accuracy", "accuracy_low", "bias", "shown/the_student"} <= set(summary)
    html = render(run)
    assert 'data-title="What people say"' in html
    assert html.index(said[:60]) < html.index('id="people"')
    assert (table["curated"].to_numpy()[:60] == [row["true_score"] for row in rows[:60]]).all()
    assert read_asked(run.stages["curate"].path).rows.tolist() == list(range(60))
    assert any("plain random draw" in text for _, text in facts.warnings(run))


def test_a_run_is_known_by_the_anchors_content_and_not_by_their_path(planted_pool):
    first, copy = anchors_file(planted_pool), anchors_file(planted_pool, name="copy.csv")
    other = anchors_file(planted_pool, count=50, name="other.csv")
    known = [chain_for(planted_pool, f"curation.anchors={path}").fingerprint for path in (first, copy, other)]
    assert known[0] == known[1] != known[2]
    plain, with_anchors = chain_for(planted_pool), chain_for(planted_pool, f"curation.anchors={first}")
    assert plain.fingerprint not in known
    assert "ds2_refined-anchors" in with_anchors.name
    assert key_of(plain.config) != key_of(with_anchors.config)


@pytest.mark.parametrize("method", ["posterior", "refine"])
def test_anchors_serve_both_methods_and_a_selection_by_the_posterior_mean(planted_pool, method):
    path = anchors_file(planted_pool)
    selection = "ds2_posterior" if method == "posterior" else "ds2_refined"
    run = chain_for(planted_pool, f"selection={selection}", f"curation.anchors={path}").run()
    assert anchored(run).selected.value > anchored(run).everyone.value
    assert not any("chooses worse" in text for _, text in facts.warnings(run))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["curation=rank"], "curation.anchors is for curation=refine and curation=posterior"),
        (["curation.anchors=nowhere.csv"], "curation.anchors=nowhere.csv: no such file"),
        (["curation.rater_accuracy=0.7"], "curation.rater_accuracy is for curation=posterior"),
        (["scale.high=8"], "is not a whole number in 0..4"),
    ],
)
def test_what_cannot_serve_is_refused_before_anything_is_rated(planted_pool, overrides, said):
    path = anchors_file(planted_pool)
    with pytest.raises(UserError, match=said) as caught:
        chain_for(planted_pool, f"curation.anchors={path}", "rater=truth", *overrides).run()
    assert "\n" not in str(caught.value)
    assert not list(planted_pool.parent.glob("artifacts/rate/*"))


def test_anchors_of_another_pool_are_refused_and_kept(planted_pool):
    path = anchors_file(planted_pool, pool="0123456789abcdef")
    before = path.read_bytes()
    with pytest.raises(UserError, match="line 2 is of another pool"):
        chain_for(planted_pool, f"curation.anchors={path}").run()
    assert path.read_bytes() == before


def test_a_stated_accuracy_is_held_and_known_by_its_value(planted_pool):
    stated = chain_for(planted_pool, "curation=posterior", "curation.rater_accuracy=0.7")
    assert "the accuracy stated of the rater" in facts.verdict(stated.run())
    other = chain_for(planted_pool, "curation=posterior", "curation.rater_accuracy=0.8")
    assert stated.fingerprint != other.fingerprint


def test_an_asked_sample_counts_as_selected_as_its_neighbours_in_the_order_are():
    order = np.array([9.0, 8, 7, 6, 5, 4, 3, 3, 3, 2])
    selected = np.array([True, True, True, False, False, True, False, False, True, False])
    rows = np.array([5, 8])  # their own answers put them among the selected
    places = np.array([4.0, 7.5])
    assert unasked_membership(order, selected, rows, places).tolist() == [0.0, 1.0]
    assert unasked_membership(order, selected, rows, np.array([6.5, 3.0])).tolist() == [0.5, 0.0]
