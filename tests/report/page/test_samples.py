"""The samples of one or many runs: each text once, each place right, and what is not shown is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.synthetic_run import make_run
from hypothesis import given
from hypothesis import strategies as st

from ds2.artifacts.curation import read_curation
from ds2.artifacts.subset import conversations, read_report
from ds2.report.page import samples as module
from ds2.report.page.samples import samples


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    return [make_run(root / str(budget), budget=budget) for budget in (40, 90)]


def texts(run) -> dict[str, list[list[str]]]:
    lines = conversations(run.stages["select"].path).read_text().splitlines()
    return {row["id"]: [[m["role"], m["content"]] for m in row["messages"]] for row in map(json.loads, lines)}


def test_a_sample_of_several_subsets_is_kept_once_with_its_place_in_each(runs):
    data = samples(runs, most=1000).data
    assert len(set(data["id"])) == len(data["id"]) == 90 + 10 + 500
    for run, subset in zip(runs, data["subsets"], strict=True):
        taken = texts(run)
        assert [data["id"][row] for row in subset["taken"]] == list(taken)  # the file is in order of rank
        assert subset["rank"] == list(range(len(taken)))
        assert [data["text"][row] for row in subset["taken"]] == list(taken.values())


def test_next_in_line_are_those_of_the_subset_s_own_report(runs):
    data = samples(runs, most=1000).data
    for run, subset in zip(runs, data["subsets"], strict=True):
        named = read_report(run.stages["select"].path).next_in_line
        assert [data["id"][row] for row in subset["next"]] == [row.id for row in named]


def test_scores_stand_at_their_sample(runs):
    data = samples(runs, most=1000).data
    table = read_curation(runs[0].stages["curate"].path).set_index("id")
    for name, column in (("score", "score"), ("curated", "curated"), ("tail", "long_tail")):
        assert np.allclose(data["scores"][0][name], table.loc[data["id"], column], atol=5e-4)


def test_of_a_large_subset_the_first_and_some_of_the_last_are_shown_and_it_is_said(runs):
    shown = samples(runs[1:], most=550)
    subset = shown.data["subsets"][0]
    assert len(shown.data["id"]) == 550
    assert subset["size"] == 90
    assert subset["rank"] == [*range(30), *range(80, 90)]
    assert "too large to show whole" in shown.notes[0]


def test_samples_left_out_were_taken_by_none(runs):
    shown = samples(runs, most=1000)
    taken = set(texts(runs[1]))
    left = set(range(len(shown.data["id"]))) - {
        r for s in shown.data["subsets"] for r in (*s["taken"], *s["next"])
    }
    assert shown.left_out == len(left) == 500
    assert not {shown.data["id"][row] for row in left} & taken


@pytest.mark.parametrize("change", ["gone", "edited"])
def test_a_pool_that_cannot_be_read_again_costs_only_what_was_left_out(tmp_path, change):
    run = make_run(tmp_path)
    pool = Path(run.config.pool.path)
    if change == "gone":
        pool.unlink()
    else:
        pool.write_text(pool.read_text() + pool.read_text().splitlines()[0].replace("orchard-00000", "more"))
    shown = samples([run], most=1000)
    assert shown.left_out == 0
    assert len(shown.data["id"]) == 70
    assert ("no such file" if change == "gone" else "changed since") in shown.notes[0]


def test_a_run_without_a_subset_has_no_samples(tmp_path):
    assert samples([make_run(tmp_path, stages=("rate",))], most=100) is None


def test_long_texts_are_cut_aloud(runs, monkeypatch):
    monkeypatch.setattr(module, "MAX_CHARACTERS", 6000)
    whole = samples(runs, most=1000)
    shown = [text for turns in whole.data["text"] for _, text in turns]
    assert any("more characters]" in text for text in shown)
    assert "are cut" in " ".join(whole.notes)


@given(st.lists(st.integers(0, 500), min_size=1, max_size=40), st.integers(1, 9000))
def test_the_limit_is_the_largest_under_which_all_texts_fit(lengths, total):
    limit = module._limit(np.array(lengths), total)
    assert np.minimum(lengths, limit).sum() <= total
    if limit < max(lengths):
        assert np.minimum(lengths, limit + 1).sum() > total


@given(st.integers(1, 200))
def test_every_rank_has_one_turn_and_the_first_four_reach_both_ends(count):
    places = module._places(count)
    assert sorted(places) == list(range(count))
    if count > 4:
        assert sorted(range(count), key=places.__getitem__)[:4] == [0, 1, 2, count - 1]
