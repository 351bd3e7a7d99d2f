from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ds2.artifacts.ratings import (
    read_distribution,
    read_rater_scores,
    read_ratings,
    read_report,
    read_scores,
    write_ratings,
    write_report,
)  # fmt: skip
from ds2.base.errors import DamagedArtifact
from ds2.method.agreement import RepeatAgreement
from ds2.pool import Message, Pool, Sample
from ds2.rating.outcomes import ModelRatings, RatingReport, UnratedSample
from ds2.rating.parse import Outcome
from ds2.rating.raters import RaterScores, Ratings

POOL = Pool([Sample(f"s{i}", i, "here", (Message("user", "?"),), {}) for i in range(3)], 3)
SCORES = np.array([2, 0, -1], dtype=np.int16)
RATINGS = np.array([6.0, 4.0, np.nan])
REPORT = RatingReport(
    outcomes={"here": Counter(parsed=2, unreadable=1)},
    reasons=Counter({"no number": 3, "no braces": 1}),
    cut=1,
    answers=6,
    replayed=2,
    changes=Counter({"without temperature": 1}),
    prompt_tokens=100,
    cached_tokens=40,
    completion_tokens=20,
    models=Counter({"m-1": 6}),
    largest_share=0.5,
    most_common=2,
    agreement=RepeatAgreement(2, 0.5, 0.25),
)


def test_scores_come_back_in_the_type_that_is_stored(tmp_path: Path) -> None:
    write_ratings(tmp_path, POOL, Ratings(SCORES, RATINGS))
    assert read_scores(tmp_path).dtype == np.int16
    assert read_scores(tmp_path).tolist() == [2, 0, -1]
    assert read_rater_scores(tmp_path) is None
    table = read_ratings(tmp_path)
    assert list(table) == ["id", "row", "source", "score", "rating"]
    assert table["score"].dtype == np.int16
    assert np.array_equal(table["rating"], RATINGS, equal_nan=True)
    assert (read_report(tmp_path), read_distribution(tmp_path)) == (None, None)


def test_of_several_raters_each_one_s_scores_and_names_come_back(tmp_path: Path) -> None:
    columns = RaterScores(np.array([[2, 3], [0, 1], [-1, -1]], dtype=np.int16), ("a", "b"))
    write_ratings(tmp_path, POOL, Ratings(SCORES, RATINGS, columns=columns))
    back = read_rater_scores(tmp_path)
    assert back is not None
    assert (back.scores.dtype, back.raters, back.repeats) == (np.int16, ("a", "b"), False)
    assert np.array_equal(back.scores, columns.scores)
    assert read_scores(tmp_path).tolist() == [2, 0, -1]


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("names", r"raters\.json is damaged: 3 raters of 2 columns"),
        ("gone", r"raters\.json is damaged: there is no such file"),
        ("half", r"ratings\.parquet is damaged: a score that is no whole number"),
    ],
)
def test_columns_that_are_nobody_s_or_no_scores_are_damage(tmp_path: Path, damage: str, named: str) -> None:
    columns = RaterScores(np.array([[2, 3], [0, 1], [-1, -1]], dtype=np.int16), ("a", "b"))
    write_ratings(tmp_path, POOL, Ratings(SCORES, RATINGS, columns=columns))
    if damage == "names":
        (tmp_path / "raters.json").write_text('{"raters": ["a", "b", "c"]}')
    elif damage == "gone":
        (tmp_path / "raters.json").unlink()
    else:
        table = read_ratings(tmp_path).astype({"score_1": float})
        table.loc[1, "score_1"] = 0.5
        table.to_parquet(tmp_path / "ratings.parquet", index=False)
    with pytest.raises(DamagedArtifact, match=named):
        read_rater_scores(tmp_path)


def test_what_came_of_a_language_model_s_answers_comes_back(tmp_path: Path) -> None:
    criteria = np.full((3, 2, 4), np.nan)
    criteria[0, :, 0], criteria[0, :, 3] = (5.0, 7.0), (6.0, 7.0)
    distribution = np.full((3, 9), np.nan, dtype=np.float32)
    distribution[0] = 1 / 9
    unrated = (UnratedSample(2, Outcome("unreadable"), "no number", "hm"),)
    details = ModelRatings(criteria, ("parsed", "parsed", "unreadable"), unrated, REPORT, distribution)
    write_ratings(tmp_path, POOL, Ratings(SCORES, RATINGS, details=details))
    table = read_ratings(tmp_path, "rarity", "outcome", "rating_0", "rating_1")
    assert table.loc[0].tolist() == [6.0, "parsed", 6.0, 7.0]
    assert np.isnan(table["rarity"][1])
    assert read_report(tmp_path) == REPORT
    (line,) = (tmp_path / "unrated.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "id": "s2", "row": 2, "source": "here", "outcome": "unreadable", "reason": "no number", "text": "hm",
    }  # fmt: skip
    back = read_distribution(tmp_path)
    assert back is not None
    assert np.array_equal(back, distribution, equal_nan=True)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"answers": "6"}, "answers: expected int, got '6'"),
        ({"by_source": {"here": {"parsed": 1.5}}}, "by_source.here.parsed: expected int"),
        ({"mood": "good"}, "mood: no such field"),
    ],
)
def test_a_wrong_key_of_the_report_is_named_with_its_file(tmp_path: Path, change: dict, named: str) -> None:
    write_report(tmp_path, REPORT)
    file = tmp_path / "rating_report.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(DamagedArtifact, match=rf"rating_report\.json is damaged: .*{named}"):
        read_report(tmp_path)


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "ratings.parquet").write_bytes(b"PAR1")
    for read in (read_scores, read_rater_scores, read_ratings):
        with pytest.raises(DamagedArtifact, match=r"ratings\.parquet is damaged"):
            read(tmp_path)
