"""Raters that need no model, and the one scale."""

from __future__ import annotations

import numpy as np
import pytest

from ds2.base.errors import MissingInput, UserError
from ds2.base.number_files import read_score_file
from ds2.config import (
    ColumnRaterConfig,
    RatingUnit,
    ReleasedRaterConfig,
    ScaleConfig,
    SimulatedRaterConfig,
    Unrated,
)
from ds2.pool import Message, Pool, Sample
from ds2.rating.raters import rate, transition_matrix
from ds2.rating.scale import compress

SCALE = ScaleConfig()


def pool_of(values: list[object], name: str = "value") -> Pool:
    turns = (Message("user", "q"), Message("assistant", "a"))
    return Pool(
        [Sample(f"r{i}", i, "s", turns, {name: value}) for i, value in enumerate(values)], len(values)
    )


def column(**options) -> ColumnRaterConfig:
    return ColumnRaterConfig(name="c", column="value", **options)


def test_ratings_are_clipped_to_the_scale_and_shifted_to_zero():
    ratings = np.array([1, 4, 5, 9, 10, np.nan])
    assert compress(ratings, SCALE).tolist() == [0, 0, 1, 5, 5, -1]
    assert compress(ratings, ScaleConfig(low=1, high=10)).tolist() == [0, 3, 4, 8, 9, -1]


def test_a_column_is_read_as_scores_or_as_ratings():
    assert rate(column(), pool_of([0, 5, None]), SCALE).scores.tolist() == [0, 5, -1]
    assert rate(column(unit=RatingUnit.ratings), pool_of([3, 10, 7]), SCALE).scores.tolist() == [0, 5, 3]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (6, "6, of .*, is not a score 0..5"), (-1, "not a score"), (2.5, "rater.unit=ratings"),
        ("6", "not a score"), ("inf", "not a score"), ("4/10", "is '4/10', not a number"),
        (True, "is True, not a number"), ([1], "not a number"), (10**400, "not a number"), ("1_0", "not a"),
    ],
)  # fmt: skip
def test_values_out_of_range_are_named_by_their_sample(value, message):
    with pytest.raises(UserError, match=message):
        rate(column(), pool_of([1, value]), SCALE)
    with pytest.raises(UserError, match=r"of 'r1' \(row 2\)"):
        rate(column(), pool_of([1, value]), SCALE)


def test_numbers_in_text_are_read_as_csv_and_hub_columns_have_them():
    values = ["4", " 5.0 ", "", "NaN", "null", 0]
    assert rate(column(), pool_of(values), SCALE).scores.tolist() == [4, 5, -1, -1, -1, 0]


def test_ratings_of_another_range_are_clipped_aloud():
    rated = rate(column(unit=RatingUnit.ratings), pool_of([0, 55, 100, 7, None]), SCALE)
    (warning, _) = rated.warnings
    assert warning.startswith("rater.column=value: 3 of 4 ratings lie outside 1..10 and are clipped; they go")
    wide = ScaleConfig(low=0, high=100)
    assert rate(column(unit=RatingUnit.ratings), pool_of([0, 55, 100]), wide).warnings == ()


def test_unrated_samples_follow_the_policy():
    pool = pool_of([3, None])
    assert rate(column(unrated=Unrated.exclude), pool, SCALE).scores.tolist() == [3, -1]
    assert rate(column(unrated=Unrated.lowest_score), pool, SCALE).scores.tolist() == [3, 0]
    with pytest.raises(UserError, match="1 samples unrated"):
        rate(column(unrated=Unrated.fail), pool, SCALE)


@pytest.mark.parametrize("kind", ["pt list", "pt tensor", "npy", "npz"])
def test_released_files_are_read_without_unpickling(tmp_path, kind):
    values = [0, 3, 5]
    path = tmp_path / f"scores.{kind.split()[0]}"
    if kind.startswith("pt"):
        torch = pytest.importorskip("torch")
        torch.save(values if kind == "pt list" else torch.tensor(values), path)
    elif kind == "npy":
        np.save(path, values)
    else:
        np.savez(path, one=values, two=[1, 1, 1])
    config = ReleasedRaterConfig(name="r", path=str(path), key="one" if kind == "npz" else None)
    assert rate(config, pool_of([None] * 3), SCALE).scores.tolist() == values


def test_a_pt_file_that_holds_code_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"x": pytest.raises}, tmp_path / "evil.pt")
    with pytest.raises(UserError, match=r"evil\.pt is not a plain list or tensor"):
        read_score_file(tmp_path / "evil.pt")


def test_a_file_of_the_wrong_length_key_or_ending_is_named(tmp_path):
    np.save(tmp_path / "s.npy", [1, 2])
    with pytest.raises(UserError, match="holds 2 scores, the pool 3 rows"):
        rate(ReleasedRaterConfig(name="r", path=str(tmp_path / "s.npy")), pool_of([None] * 3), SCALE)
    np.savez(tmp_path / "s.npz", a=[1], b=[2])
    with pytest.raises(UserError, match=r"choose one with rater\.key: a, b"):
        read_score_file(tmp_path / "s.npz")
    with pytest.raises(UserError, match="no array c"):
        read_score_file(tmp_path / "s.npz", "c")
    with pytest.raises(MissingInput, match="no such file"):
        read_score_file(tmp_path / "none.pt")
    (tmp_path / "s.txt").write_text("1")
    with pytest.raises(UserError, match="does not end in"):
        read_score_file(tmp_path / "s.txt")


def test_a_simulated_rater_draws_from_its_matrix():
    matrix = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.0, 0.5, 0.5]]
    truth = np.repeat([0, 1, 2], 20_000).tolist()
    config = SimulatedRaterConfig(name="s", matrix=matrix, truth="value", seed=3)
    scores = rate(config, pool_of(truth), ScaleConfig(low=1, high=3)).scores
    shares = [np.bincount(scores[np.array(truth) == level], minlength=3) / 20_000 for level in range(3)]
    np.testing.assert_allclose(shares, matrix, atol=0.015)


def test_a_simulated_rater_depends_on_its_seed_alone():
    pool = pool_of([0, 1, 2, 3, 4, 5] * 50)

    def draw(seed):
        config = SimulatedRaterConfig(name="s", matrix=[[0.5] * 6] * 6, truth="value", seed=seed)
        return rate(config, pool, SCALE).scores.tolist()

    assert draw(1) == draw(1) != draw(2)


def test_rounded_rows_are_renormalised():
    matrix = transition_matrix(SimulatedRaterConfig(name="s", matrix=[[0.33, 0.33, 0.33]] * 3), 3)
    np.testing.assert_allclose(matrix, 1 / 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"matrix": [[1.0]]}, "is 1 x 1, the scale has 6"),
        ({"matrix": [[1.0, 0.0], [1.0]]}, "equal length"),
        ({"matrix": [[-1.0] + [1.0] * 5] * 6}, "non-negative"),
    ],
)
def test_an_unusable_matrix_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        transition_matrix(SimulatedRaterConfig(name="s", **options), 6)
