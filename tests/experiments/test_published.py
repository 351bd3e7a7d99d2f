"""The transcribed numbers: complete, consistent with themselves, and equal to what they were transcribed
from.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ds2.base.errors import UserError
from ds2.config.compose import compose
from ds2.rating.raters import transition_matrix
from experiments import published
from experiments.real_data import RATERS
from experiments.transition_matrices import printed_matrices

SOURCES = Path(os.environ.get("DS2_DATA", Path(__file__).parents[3] / "shared")) / "published"
POOL = 300_932


@pytest.mark.parametrize("name", published.names())
def test_every_row_says_where_it_comes_from(name):
    table = published.read(name)
    assert list(table.columns[-2:]) == published.PROVENANCE
    assert table["provenance"].str.len().min() > 10
    assert set(table["second_hand"]) <= {"yes", "no"}


def test_second_hand_numbers_are_marked():
    marked = {name for name in published.names() if (published.read(name)["second_hand"] == "yes").any()}
    assert marked == {"curation_on_baselines"}


@pytest.mark.parametrize("name", published.names())
def test_numbers_equal_their_source(name):
    if not SOURCES.is_dir():
        pytest.skip(f"no published numbers in {SOURCES} (set DS2_DATA)")
    ours, theirs = published.read(name), pd.read_csv(SOURCES / f"{name}.csv")
    shared = [column for column in theirs.columns if column != "status"]  # became the provenance
    assert list(ours.columns) == [*shared, *published.PROVENANCE]
    pd.testing.assert_frame_equal(ours[shared], theirs[shared])


def test_no_table_was_forgotten():
    if not SOURCES.is_dir():
        pytest.skip(f"no published numbers in {SOURCES} (set DS2_DATA)")
    assert {path.stem for path in SOURCES.glob("*.csv")} == set(published.names())


def test_rows_of_the_matrices_sum_to_about_one():
    table = published.read("transition_matrices")
    sums = table[[f"rated_{j}" for j in range(6)]].sum(axis=1)
    assert (sums - 1).abs().max() < 0.035  # two decimals, six entries
    assert table.groupby("rater").size().to_dict() == {"gpt_4o_mini": 6, "llama_3_1_8b": 6, "mistral_7b": 6}


def test_counts_add_up_to_the_pool():
    levels = [f"score_{i}" for i in range(6)]
    assert published.read("pool_composition")["samples"].sum() == POOL
    assert (published.read("score_distribution")[levels].sum(axis=1) == POOL).all()
    by_source = published.read("score_distribution_gpt_by_source").set_index("source")[levels].sum(axis=1)
    assert by_source.to_dict() == dict(published.read("pool_composition")[["source", "samples"]].to_numpy())
    curated = published.read("curation_statistics")[[f"curated_{level}" for level in levels]]
    assert (curated.sum(axis=1) == POOL).all()
    taken = published.read("selected_composition_10k").select_dtypes("number")
    assert (taken.sum(axis=1) == 10_000).all()


def test_percentages_add_up():
    gaps = published.read("clusterability").filter(like="gap_").sum(axis=1)
    judged = published.read("lima_judge")[["win", "tie", "loss"]].sum(axis=1)
    assert np.allclose(gaps, 100, atol=3)
    assert np.allclose(judged, 100, atol=0.3)


def test_averages_are_the_means_of_their_benchmarks():
    for name in ("data_scaling_by_benchmark", "main_table_mistral_7b_base", "llama_3_70b"):
        benchmarks = ["mmlu", "truthfulqa", "gsm8k", "bbh", "tydiqa"]
        table = published.read(name).dropna(subset=benchmarks)
        tasks = table[benchmarks].mean(axis=1)
        assert len(table) >= 3
        assert np.allclose(tasks, table["average"], atol=0.16), name


def test_an_unknown_table_is_one_line_that_names_the_others():
    with pytest.raises(UserError, match="no published table figure_9; there are: clusterability"):
        published.read("figure_9")


def test_the_simulated_raters_draw_from_the_printed_matrices():
    printed = printed_matrices()
    assert set(printed) == set(RATERS)
    assert any(abs(matrix.sum(axis=1) - 1).max() > 0.005 for matrix in printed.values())  # rounded
    for name, matrix in printed.items():
        config = compose([f"rater=simulated_{name}"])
        np.testing.assert_array_equal(config.rater.matrix, matrix)
        np.testing.assert_allclose(transition_matrix(config.rater, 6).sum(axis=1), 1)
